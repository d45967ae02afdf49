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
from gateway.service.connection import Connection
from gateway.service.driver import Executor, run_dialogue
from gateway.service.sessions import Sessions
from gateway.service.tls import TlsLayer, version_of
from gateway.smtp import reply
from gateway.smtp.session import Session

READ = 65536
#: makes core and executor for a connection, with its TLS version and cipher
Make = Callable[[Connection, str], tuple[Session, Executor]]


class SmtpEngine(SMTP):
    """One connection: octets to the core, the core's octets back, its requests to the executor."""

    _prepared: dict[str, Any] | None = None

    def __init__(
        self,
        make: Make,
        timeout: float,
        sessions: Sessions,
        connection: Connection | None = None,
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
        self._make = make
        self._connection = connection
        self._sessions = sessions
        self._reading = False
        self._out: list[bytes] = []

    @classmethod
    def prepare(
        cls,
        make: Make,
        timeout: float,
        sessions: Sessions,
    ) -> Callable[[Connection], SmtpEngine]:
        """A factory for the connections of one listener; call it inside the event loop."""
        prepared = dict(cls(make, timeout, sessions).__dict__)
        return lambda connection: cls(make, timeout, sessions, connection, prepared)

    def cut(self, last_words: bytes) -> bool:
        if not self._reading:
            return False
        self._core.closing = True
        self._writer.write(last_words)
        self._reader.feed_eof()
        return True

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
        assert self._connection is not None
        tls = version_of(self.transport) if self.transport is not None else ""
        session, executor = self._make(self._connection, tls)
        self._core = session
        self._connection.speaker = self
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
