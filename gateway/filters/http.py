"""One request to a daemon next door over HTTP/1.1 (RFC 9112): its answer whole, bounded, on a connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.deliver.port import Dial, Stream

MAX_FIELDS = 100
PIECE = 65536


class HttpTrouble(OSError):
    """The daemon does not answer as it should; the message says how."""


async def post(
    dial: Dial,
    address: str,
    port: int,
    target: str,
    fields: Sequence[tuple[str, str]],
    body: Sequence[bytes],
    size: int,
    *,
    limit: int,
    left: Callable[[], float],
) -> bytes:
    """Send `body`, which has `size` octets; the body of a 200 answer, at most `limit` octets.

    `left()` are the seconds that there still are. Raises OSError for everything else.
    """
    literal = f"[{address}]" if ":" in address else address
    lines = [f"POST {target} HTTP/1.1", f"Host: {literal}:{port}", "Connection: close", f"Content-Length: {size}"]
    lines += [f"{name}: {_clean(value)}" for name, value in fields]
    stream = await dial(address, port, left())
    try:
        await stream.write(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace"), left())
        for piece in body:
            await stream.write(piece, left())
        return await _answer(stream, limit, left)
    finally:
        stream.close()


def _clean(value: str) -> str:
    return "".join(each for each in value if each.isprintable())


async def _answer(stream: Stream, limit: int, left: Callable[[], float]) -> bytes:
    words = (await stream.read_line(left())).split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        raise HttpTrouble("no HTTP answer")
    if words[1] != b"200":
        raise HttpTrouble(f"answered {b' '.join(words[1:]).decode('ascii', 'replace').strip()[:100]}")
    found: dict[bytes, bytes] = {}
    for _ in range(MAX_FIELDS):
        line = await stream.read_line(left())
        if not line.endswith(b"\n"):
            raise HttpTrouble("ended within its header")
        if not line.strip():
            break
        name, _, value = line.partition(b":")
        found[name.strip().lower()] = value.strip().lower()
    else:
        raise HttpTrouble("too many fields")
    if b"transfer-encoding" in found:
        return await _chunks(stream, limit, left)
    length = found.get(b"content-length", b"")
    if not length.isdigit() or int(length) > limit:
        raise HttpTrouble(f"its length is {length.decode('ascii', 'replace')[:20]!r}, allowed are {limit} octets")
    return await _octets(stream, int(length), left)


async def _octets(stream: Stream, size: int, left: Callable[[], float]) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = await stream.read(min(PIECE, size - len(data)), left())
        if not piece:
            raise HttpTrouble("ended early")
        data += piece
    return bytes(data)


async def _chunks(stream: Stream, limit: int, left: Callable[[], float]) -> bytes:
    data = b""
    while True:
        head = (await stream.read_line(left())).partition(b";")[0].strip()
        try:
            size = int(head, 16)
        except ValueError:
            raise HttpTrouble("no chunk where one should be") from None
        if size == 0:
            return data
        if not 0 < size <= limit - len(data):
            raise HttpTrouble(f"longer than {limit} octets")
        data += await _octets(stream, size, left)
        await stream.read_line(left())
