"""One connection of a line protocol (SMTP, IMAP, POP3): no task and no timer of its own while it is idle.

Dialogues run one after the other, each up to where it must wait. Memory is bounded in both directions: while
a command runs, at most MAX_WAITING octets and one read wait for it; while the client does not read, nothing
is produced beyond MAX_OUT, the dialogue's next piece and the transport's own buffer.

STARTTLS and STLS: the core says its go-ahead and yields `Ask(StartTls())`; its executor answers
`driver.UPGRADE`; the connection then sends what was said, drops what came behind the command and turns to
TLS. When the handshake is done `core.tls` is set to version and cipher. COMPRESS in the same way: what comes is then
kept as it came and inflated when the core can use it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from directory.model import Condition
from gateway.ask import Dialogue
from gateway.observe import maillog
from gateway.service.connection import Connection
from gateway.service.deadlines import NEVER, Deadlines
from gateway.service.deflate import BadStream, Deflate
from gateway.service.driver import Executor, Full, Problem, advance, answer_of
from gateway.service.sessions import Sessions
from gateway.service.settings import LimitSettings
from gateway.service.tls import TlsLayer, version_of

MAX_WAITING = 64 * 1024  # octets received while a command runs; reading pauses beyond
MAX_OUT = 64 * 1024  # octets kept to be written at once
IN_ONE_GO = 64  # pipelined commands before other connections have their turn
MAX_TURN = 512 * 1024  # octets said, likewise


#: how the request of an HTTP client begins, which no client of a mail protocol says
HTTP = (
    *(f"{verb} /".encode() for verb in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")),
    b"CONNECT ", b"OPTIONS *", b"PRI * HTTP/2",
)  # fmt: skip


class Core(Protocol):
    """A line protocol's session."""

    closing: bool
    tls: str

    @property
    def patience(self) -> float | None:
        """Seconds that it waits for the client now; None before the login, for which there is one time in all."""
        ...

    def greeting(self) -> bytes: ...

    def receive(self, data: bytes) -> None: ...

    def next_dialogue(self) -> Dialogue | None:
        """What to run next, None when more octets are needed."""
        ...

    def woken(self) -> Dialogue | None:
        """What to say after `wake`, None for nothing."""
        ...

    def expired(self) -> Dialogue | None:
        """What to say when the client was silent for too long; the connection ends when it sets `closing`."""
        ...


#: makes core and executor from the connection, TLS version and cipher, and what wakes the session
Make = Callable[[Connection, str, Callable[[], None]], tuple[Core, Executor]]


class LineConnection(asyncio.Protocol):
    """Feeds a core and runs its dialogues one after the other."""

    __slots__ = (
        "__weakref__",
        "_connection",
        "_core",
        "_deadlines",
        "_deflate",
        "_dialogue",
        "_eof",
        "_executor",
        "_fresh",
        "_limits",
        "_login_until",
        "_make",
        "_out",
        "_out_size",
        "_paused",
        "_running",
        "_sessions",
        "_spent",
        "_stalled",
        "_task",
        "_transport",
        "_waiting",
        "_woken",
        "deadline",
        "slot",
    )

    def __init__(
        self, make: Make, connection: Connection, deadlines: Deadlines, limits: LimitSettings, sessions: Sessions
    ) -> None:
        self._make = make
        self._connection = connection
        self._sessions = sessions
        self._deadlines = deadlines
        self._limits = limits
        self.deadline = NEVER
        self.slot = 0
        self._dialogue: Dialogue | None = None
        self._task: asyncio.Future[object] | None = None
        self._out: list[bytes] = []
        self._out_size = self._spent = 0
        self._waiting = b""
        self._deflate: Deflate | None = None
        self._fresh = True
        self._eof = self._paused = self._stalled = self._running = self._woken = False

    # the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop has a class of its own
        self._login_until = asyncio.get_running_loop().time() + self._limits.login_timeout
        self._core, self._executor = self._make(self._connection, version_of(transport), self.wake)
        self._connection.speaker = self
        self._transport.write(self._core.greeting())
        self._sessions.opened(self)
        self._rest()

    def data_received(self, data: bytes) -> None:
        if self._fresh:
            self._fresh = False
            if data.startswith(HTTP):  # somebody's browser, led here (ALPACA)
                self._connection.log_cut("speaks HTTP")
                self._transport.abort()
                return
        if self._running or self._paused or self._deflate is not None:
            self._waiting += data
            if len(self._waiting) > MAX_WAITING:
                self._transport.pause_reading()
            if self._running or self._paused:
                return
        else:
            self._core.receive(data)
        self._go()

    def eof_received(self) -> bool:
        """What was asked before the client closed its side is answered."""
        self._eof = True
        return self._running or self._paused

    def pause_writing(self) -> None:
        self._paused = True
        self._wait(self._limits.write_timeout)

    def resume_writing(self) -> None:
        self._paused = False
        if self._task is not None:
            self._deadlines.arm(self, NEVER)
        elif self._stalled or not self._running:
            self._stalled, self._running = False, True
            asyncio.get_running_loop().call_soon(self._go)

    def connection_lost(self, exc: Exception | None) -> None:
        self._sessions.closed(self)
        self._deadlines.disarm(self)
        self._dialogue = None
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self._executor.close()

    # waiting

    def _wait(self, seconds: float) -> None:
        self._deadlines.arm(self, asyncio.get_running_loop().time() + seconds)

    def _rest(self) -> None:
        """Nothing to do until the client says something."""
        if self._sessions.retiring:
            asyncio.get_running_loop().call_soon(self.retire)
        patience = self._core.patience
        if patience is None:
            if not self._login_until:  # it had logged in, and is nobody's again
                self._login_until = asyncio.get_running_loop().time() + self._limits.login_timeout
            self._deadlines.arm(self, self._login_until)
        else:
            self._login_until = 0.0
            self._wait(patience)

    def expired(self) -> None:
        if self._paused or self._core.closing or self._transport.is_closing():
            self._connection.log_cut("does not read")
            self._transport.abort()  # it does not even take what it was sent
        elif not self._running:
            self._dialogue = self._core.expired()
            self._note_end()
            self._go()

    def _note_end(self) -> None:
        if self._core.closing:  # and not only a sign of life, as in IDLE
            self._connection.log_cut("silent or slow for too long")

    def cut(self, last_words: bytes) -> bool:
        if self._running:
            return False
        self._core.closing = True
        self._send(last_words)
        self._done()
        return True

    def retire(self) -> None:
        """End as soon as what runs has ended: the process stops."""
        if not self._paused and not self._transport.is_closing():
            self.cut(self._connection.last_words(Condition.SHUTTING_DOWN))

    def wake(self) -> None:
        """Let the core say what it has to say (`core.woken`): now, or as soon as what runs has ended."""
        self._woken = True
        if not self._running and not self._paused and not self._transport.is_closing():
            self._go()

    # where dialogues write

    def write(self, data: bytes) -> bool:
        self._out.append(data)
        self._out_size += len(data)
        self._spent += len(data)
        if self._out_size >= MAX_OUT:
            self.flush()
        return self._paused or self._spent >= MAX_TURN

    def flush(self) -> None:
        if self._out:
            data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
            self._out.clear()
            self._out_size = 0
            self._send(data)

    def _send(self, data: bytes) -> None:
        self._transport.write(data if self._deflate is None else self._deflate.squeezed(data))

    def upgrade(self) -> None:
        self._waiting = b""
        self._fresh = True
        if not isinstance(self._transport, TlsLayer):
            raise RuntimeError("this connection cannot be upgraded")
        self._transport.upgrade(self._secured)

    def compress(self) -> None:
        self._waiting = b""
        self._deflate = Deflate()

    def _secured(self) -> None:
        self._core.tls = version_of(self._transport)

    # running dialogues

    def _go(self, answer: object = None, error: Problem | None = None) -> None:
        """Run what can run, until an answer, the client or nothing is waited for."""
        if self._transport.is_closing():
            return
        self._running = True
        self._spent = 0
        try:
            for _ in range(IN_ONE_GO):
                if self._dialogue is None and not self._next():
                    self._done()
                    return
                if self._dialogue is None:
                    continue
                waiting = advance(self._dialogue, self._executor, self, answer, error)
                answer = error = None
                if waiting is None:
                    self._dialogue = None
                elif not isinstance(waiting, Full):
                    if not self._paused:
                        self._deadlines.arm(self, NEVER)
                    # not a task that awaits it: one that is cancelled before it begins would never do so
                    self._task = asyncio.ensure_future(waiting)
                    self._task.add_done_callback(self._answered)
                    return
                if self._paused:
                    self._stalled = True  # resume_writing goes on
                    return
                if self._spent >= MAX_TURN:
                    break
            self.flush()
            asyncio.get_running_loop().call_soon(self._go)
        except BadStream as error:
            self._connection.log_cut(str(error))
            self._transport.abort()
        except Exception:
            maillog.bug(where="session")
            self._core.closing = True
            self._done()

    def _answered(self, task: asyncio.Future[object]) -> None:
        if self._task is None:  # the connection is gone
            if not task.cancelled():
                task.exception()  # nobody is left to hear of it
            return
        self._task = None
        self._go(*answer_of(task))

    def _next(self) -> bool:
        """Take the next dialogue, or let the core have what waits; False when there is neither."""
        if self._core.closing:
            return False
        self._dialogue = self._core.next_dialogue()
        if self._dialogue is None and self._feed():
            return True
        if self._dialogue is None and self._woken:
            self._woken = False
            self._dialogue = self._core.woken()
        return self._dialogue is not None

    def _feed(self) -> bool:
        """Give the core what waits; False when nothing does. Raises BadStream."""
        if not self._waiting and self._deflate is None:
            return False
        if self._deflate is None:
            data, self._waiting = self._waiting, b""
        else:
            data, self._waiting = self._deflate.swollen(self._waiting)
        if len(self._waiting) <= MAX_WAITING:
            self._transport.resume_reading()
        if data:
            self._core.receive(data)
        return bool(data)

    def _done(self) -> None:
        self._running = False
        self.flush()
        if self._core.closing or self._eof:
            self._core.closing = True
            self._transport.close()
            self._wait(self._limits.write_timeout)  # for a client that does not take the rest
        elif not self._paused:
            self._rest()
