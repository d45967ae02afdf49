"""One page over HTTPS (RFC 9110, HTTP/1.1), for MTA-STS: certificate for the host's name, no redirects, bounded."""

from __future__ import annotations

import asyncio

from directory.model import Deferred
from gateway.deliver.mx import is_public
from gateway.deliver.port import Dial, Stream, TlsWish
from gateway.deliver.resolve import Resolve

PORT = 443
SECONDS = 20.0
MAX_ADDRESSES = 3
MAX_FIELDS = 100


class HttpsGet:
    """Implements `gateway.deliver.mta_sts.Fetch`."""

    def __init__(self, dial: Dial, resolve: Resolve, *, may_be_private: bool, port: int = PORT) -> None:
        self._dial, self._resolve, self._may_be_private, self._port = dial, resolve, may_be_private, port

    async def __call__(self, host: str, path: str, limit: int) -> bytes:
        """The page. Raises OSError for everything but 200 with plain text."""
        try:
            addresses = (await self._resolve.addresses(host)).values
        except Deferred as error:
            raise OSError(str(error)) from None
        problem: OSError | None = None
        async with asyncio.timeout(SECONDS):
            for address in addresses[:MAX_ADDRESSES]:
                if not self._may_be_private and not is_public(address):
                    continue
                try:
                    stream = await self._dial(address, self._port, SECONDS / 2)
                except OSError as error:
                    problem = error
                    continue
                try:
                    await stream.start_tls(TlsWish(host, verify=True), SECONDS)
                    return await self._get(stream, host, path, limit)
                finally:
                    stream.close()
        raise problem or OSError(f"{host}: no address to connect to")

    async def _get(self, stream: Stream, host: str, path: str, limit: int) -> bytes:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nUser-Agent: Gatepost\r\nAccept: text/plain\r\n\r\n"
        await stream.write(request.encode(), SECONDS)
        words = (await stream.read_line(SECONDS)).split()
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or words[1] != b"200":
            raise OSError(f"{host}: answered {b' '.join(words[1:2]).decode('ascii', 'replace')!r}")
        fields = {}
        for _ in range(MAX_FIELDS):
            line = (await stream.read_line(SECONDS)).strip()
            if not line:
                break
            name, _, value = line.partition(b":")
            fields[name.strip().lower()] = value.strip().lower()
        else:
            raise OSError(f"{host}: too many fields")
        if fields.get(b"content-type", b"").partition(b";")[0].strip() != b"text/plain":
            raise OSError(f"{host}: not plain text")
        if fields.get(b"transfer-encoding") == b"chunked":
            return await self._chunks(stream, host, limit)
        length = fields.get(b"content-length")
        wanted = int(length) if length is not None and length.isdigit() else None
        if wanted is not None and wanted > limit:
            raise OSError(f"{host}: longer than {limit} octets")
        return await self._octets(stream, host, limit, wanted)

    async def _octets(self, stream: Stream, host: str, limit: int, wanted: int | None) -> bytes:
        """So many octets, or all until the end."""
        found = b""
        while wanted is None or len(found) < wanted:
            line = await stream.read_line(SECONDS)
            found += line
            if len(found) > limit + (2 if wanted is not None else 0):
                raise OSError(f"{host}: longer than {limit} octets")
            if not line.endswith(b"\n"):
                if wanted is not None and len(found) < wanted:
                    raise OSError(f"{host}: ended early")
                break
        return found if wanted is None else found[:wanted]

    async def _chunks(self, stream: Stream, host: str, limit: int) -> bytes:
        found = b""
        while True:
            head = (await stream.read_line(SECONDS)).partition(b";")[0].strip()
            try:
                size = int(head, 16)
            except ValueError:
                raise OSError(f"{host}: no chunk") from None
            if size == 0:
                return found
            if not 0 < size <= limit - len(found):
                raise OSError(f"{host}: longer than {limit} octets")
            # a chunk ends with a line end of its own
            chunk = await self._octets(stream, host, limit, size + 2)
            found += chunk[:size]
