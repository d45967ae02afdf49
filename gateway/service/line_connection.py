"""One connection of a line protocol (IMAP, POP3, ManageSieve): no task while it is idle.

STARTTLS and STLS: the core says its go-ahead and yields `Ask(StartTls())`; its executor answers
`driver.UPGRADE`; the connection then sends what was said, drops what came behind the command and turns to
TLS. When the handshake is done `core.tls` is set to version and cipher.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from gateway.ask import Dialogue
from gateway.observe import maillog
from gateway.service.driver import Executor, run_dialogue
from gateway.service.tls import TlsLayer, version_of

MAX_WAITING = 1 << 20  # octets received while a command runs; reading pauses beyond


class Core(Protocol):
    """A line protocol's session."""

    closing: bool
    tls: str

    def greeting(self) -> bytes: ...
    def receive(self, data: bytes) -> None: ...
    def next_dialogue(self) -> Dialogue | None: ...


class LineConnection(asyncio.Protocol):
    """Feeds a core and runs its dialogues one after the other."""

    __slots__ = (
        "_core",
        "_executor",
        "_make",
        "_out",
        "_task",
        "_timeout",
        "_timer",
        "_transport",
        "_waiting",
    )

    def __init__(self, make: Callable[[str, str], tuple[Core, Executor]], timeout: float) -> None:
        self._make = make
        self._timeout = timeout
        self._task: asyncio.Task[None] | None = None
        self._out: list[bytes] = []
        self._waiting = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        peer = transport.get_extra_info("peername") or ("local", 0)
        self._core, self._executor = self._make(str(peer[0]), version_of(transport))
        self._arm()
        self._transport.write(self._core.greeting())

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._timeout, self._transport.close)

    def data_received(self, data: bytes) -> None:
        if self._task is not None:
            self._waiting += data
            if len(self._waiting) > MAX_WAITING:
                self._transport.pause_reading()
            return
        self._core.receive(data)
        self._timer.cancel()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def _flush(self) -> None:
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def _upgrade(self) -> None:
        self._waiting.clear()
        if not isinstance(self._transport, TlsLayer):
            raise RuntimeError("this connection cannot be upgraded")
        self._transport.upgrade(self._secured)

    def _secured(self) -> None:
        self._core.tls = version_of(self._transport)

    async def _run(self) -> None:
        try:
            while not self._core.closing:
                dialogue = self._core.next_dialogue()
                if dialogue is None:
                    if not self._waiting:
                        break
                    self._core.receive(bytes(self._waiting))
                    self._waiting.clear()
                    self._transport.resume_reading()
                    continue
                await run_dialogue(dialogue, self._executor, self._out.append, self._flush, self._upgrade)
        except Exception:
            maillog.bug(where="session")
            self._core.closing = True
        finally:
            self._flush()
            self._task = None
            if self._core.closing:
                self._transport.close()
            else:
                self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
