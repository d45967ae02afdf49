"""The far end of the self-test: an SMTP server on loopback, in a thread, that keeps what comes in memory.

Recipients that begin with `refused` do not exist there, `later` is taken at the second attempt.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass

from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"
MAX_KEPT = 200
MAX_MESSAGE = 1024 * 1024
START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that came."""

    return_path: str
    recipients: tuple[str, ...]
    content: bytes


class Sink:
    """Listens from the start until `stop`."""

    def __init__(self, hostname: str) -> None:
        """Raises OSError where it cannot listen."""
        self.kept: list[Kept] = []
        self.port = 0
        self._hostname = hostname
        self._asked: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._begun = threading.Event()
        self._problem: OSError | None = None
        self._thread = threading.Thread(target=self._serve, name="selftest-sink", daemon=True)
        self._thread.start()
        self._begun.wait(START_SECONDS)
        if self._problem is not None or not self.port:
            raise self._problem or OSError("the far end of the self-test does not start")

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(self._loop.create_server(self._protocol, HOST, 0))
            self.port = server.sockets[0].getsockname()[1]
        except OSError as error:
            self._problem = error
        self._begun.set()
        if self._problem is None:
            self._loop.run_forever()
            server.close()
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def _protocol(self) -> SMTP:
        return SMTP(
            self, hostname=self._hostname, enable_SMTPUTF8=True, data_size_limit=MAX_MESSAGE, loop=self._loop
        )  # fmt: skip

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """aiosmtpd's hook."""
        if address.startswith("refused"):
            return "550 5.1.1 nobody of this name at the far end"
        if address.startswith("later") and address not in self._asked:
            self._asked.add(address)
            return "451 4.2.1 not now"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 known"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """aiosmtpd's hook."""
        if len(self.kept) >= MAX_KEPT:
            return "452 4.3.1 full"
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        path = (envelope.mail_from or "").strip("<>")
        self.kept.append(Kept(path, tuple(envelope.rcpt_tos), content))
        return "250 2.0.0 kept by the self-test"
