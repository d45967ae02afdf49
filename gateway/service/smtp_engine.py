"""The SMTP engine: aiosmtpd's server class, once subclassed, under Gatepost's own protocol core.

aiosmtpd's constructor inspects the whole class on every connection (400 microseconds): one instance is
prepared for a listener, and each connection copies its attributes and sets up only the stream part.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

from aiosmtpd.smtp import SMTP

from gateway.observe import maillog
from gateway.service.driver import Executor, run_dialogue
from gateway.service.sessions import Sessions
from gateway.service.tls import TlsLayer, version_of
from gateway.smtp import reply
from gateway.smtp.session import Client, Session

READ = 65536


class SmtpEngine(SMTP):
    """One connection: octets to the core, the core's octets back, its requests to the executor."""

    _prepared: dict[str, Any] | None = None

    def __init__(
        self,
        make_session: Callable[[Client], Session],
        make_executor: Callable[[Session], Executor],
        timeout: float,
        sessions: Sessions,
        prepared: dict[str, Any] | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        if prepared is None:
            super().__init__(self, hostname="prepared", loop=loop, timeout=timeout)
        else:
            self.__dict__.update(prepared)
            asyncio.StreamReaderProtocol.__init__(
                self,
                asyncio.StreamReader(limit=READ, loop=loop),
                client_connected_cb=self._cb_client_connected,
                loop=loop,
            )
        self._make_session = make_session
        self._make_executor = make_executor
        self._sessions = sessions
        self._reading = False
        self._out: list[bytes] = []

    @classmethod
    def prepare(
        cls,
        make_session: Callable[[Client], Session],
        make_executor: Callable[[Session], Executor],
        timeout: float,
        sessions: Sessions,
    ) -> Callable[[], SmtpEngine]:
        """A factory of connections for one listener; call it inside the event loop."""
        prepared = dict(cls(make_session, make_executor, timeout, sessions).__dict__)
        return lambda: cls(make_session, make_executor, timeout, sessions, prepared)

    def retire(self) -> None:
        """End as soon as no message is under way: the process stops."""
        if self._reading and not self._core.receiving:
            self._core.closing = True
            self._out.append(reply.SHUTTING_DOWN)
            self.flush()
            self._reader.feed_eof()

    def write(self, data: bytes) -> bool:
        self._out.append(data)
        return False  # replies are small, and the input is not read on before they are taken

    def flush(self) -> None:
        if self._out:
            self._writer.write(b"".join(self._out))
            self._out.clear()

    def upgrade(self) -> None:
        transport, session = self.transport, self._core
        if not isinstance(transport, TlsLayer):
            raise RuntimeError("this connection cannot be upgraded")
        self._reader._buffer.clear()  # type: ignore[attr-defined]  # RFC 3207 5: nothing said before counts
        transport.upgrade(
            lambda: setattr(session, "client", dataclasses.replace(session.client, tls=version_of(transport)))
        )

    async def _handle_client(self) -> None:
        assert self.session is not None
        peer = self.session.peer or ("local", 0)
        tls = version_of(self.transport) if self.transport is not None else ""
        session = self._core = self._make_session(
            Client(str(peer[0]) if peer else "local", int(peer[1]) if len(peer) > 1 else 0, tls=tls)
        )
        executor = self._make_executor(session)
        self._writer.write(session.greeting())
        self._sessions.opened(self)
        try:
            while not session.closing:
                if self._sessions.retiring and not session.receiving:
                    self._out.append(reply.SHUTTING_DOWN)
                    break
                self._reading = True
                data = await self._reader.read(READ)
                self._reading = False
                if not data:
                    break
                self._reset_timeout()
                session.receive(data)
                while not session.closing and (dialogue := session.next_dialogue()) is not None:
                    await run_dialogue(dialogue, executor, self)
                self.flush()
                await self._writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            return
        except Exception:
            maillog.bug(where="smtp session")
            self._out.append(reply.BUG)
            self.flush()
        finally:
            self._sessions.closed(self)
            self.flush()
            executor.close()
            if self.transport is not None:
                self.transport.close()
