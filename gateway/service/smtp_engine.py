"""The SMTP engine: aiosmtpd's server class, once subclassed, under Gatepost's own protocol core.

What aiosmtpd does on every connection (inspecting its own class, a stream reader and writer, a task, a timer
for each read) costs more than the protocol itself, so none of it is done: the connection is driven like that
of every line protocol. Times: a command may be waited for `command_timeout`; a message must bring `min_rate`
octets a second on average after that and be complete within `message_timeout`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiosmtpd.smtp import SMTP

from gateway.service.connection import Connection
from gateway.service.deadlines import Deadlines
from gateway.service.driver import Executor
from gateway.service.line_connection import LineConnection
from gateway.service.sessions import Sessions
from gateway.service.settings import LimitSettings
from gateway.smtp.session import Session
from gateway.smtp.settings import SmtpSettings

#: makes core and executor from the connection, TLS version and cipher, and what wakes the session
Make = Callable[[Connection, str, Callable[[], None]], tuple[Session, Executor]]


class SmtpEngine(LineConnection, SMTP):
    """One connection: octets to the core, the core's octets back, its requests to the executor."""

    _core: Session

    def __init__(
        self,
        make: Make,
        settings: SmtpSettings,
        connection: Connection,
        deadlines: Deadlines,
        limits: LimitSettings,
        sessions: Sessions,
    ) -> None:
        LineConnection.__init__(self, make, connection, deadlines, limits, sessions)
        self._settings = settings
        self._begun = 0.0  # when the message that is arriving began, 0.0 = none is
        self._octets = 0  # of it so far

    def data_received(self, data: bytes) -> None:
        self._octets += len(data)
        LineConnection.data_received(self, data)

    def cut(self, last_words: bytes) -> bool:
        """As for every line protocol, but never in the middle of a message."""
        return not self._core.receiving and LineConnection.cut(self, last_words)

    def _rest(self) -> None:
        core, settings = self._core, self._settings
        if not core.receiving and core.incoming is None:
            if self._sessions.retiring:
                asyncio.get_running_loop().call_soon(self.retire)
            self._begun = 0.0
            busy = self._connection.is_busy
            self._wait(settings.command_timeout_busy if busy else settings.command_timeout)
            return
        now = asyncio.get_running_loop().time()
        if not self._begun:
            self._begun, self._octets = now, 0
        self._deadlines.arm(
            self,
            min(
                now + settings.command_timeout,
                self._begun + settings.command_timeout + self._octets / settings.min_rate,
                self._begun + settings.message_timeout,
            ),
        )
