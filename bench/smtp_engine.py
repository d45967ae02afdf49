"""CPU of the SMTP engine alone: a connection with one 2 KiB message, over a real socket, taken without a disk.

    python bench/smtp_engine.py [connections]

Prints microseconds of CPU of the serving process (client processes are not counted).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import socket
import sys
from collections.abc import Callable

import uvloop

from gateway.service.admission import Admission, Networks
from gateway.service.connection import Connection, Door
from gateway.service.counts import SharedCounts
from gateway.service.deadlines import Deadlines
from gateway.service.driver import Executor
from gateway.service.sessions import Sessions
from gateway.service.settings import LimitSettings
from gateway.service.smtp_engine import SmtpEngine
from gateway.smtp.commands import VERBS
from gateway.smtp.reply import condition_reply
from gateway.smtp.requests import Accept, Accepted
from gateway.smtp.session import Client, Session
from gateway.smtp.settings import Role, SmtpSettings

assert VERBS
CLIENTS = 2
MESSAGE = (
    b"Subject: x\r\n" + b"X-Fill: y\r\n" * 10 + b"\r\n"
    b"line of text that is sixty octets or so long, as mail has\r\n" * 32 + b".\r\n"
)  # fmt: skip
COMMANDS = (b"EHLO c.example\r\n", b"MAIL FROM:<a@c.example> BODY=8BITMIME\r\n", b"RCPT TO:<b@x.example>\r\n", b"DATA\r\n", MESSAGE, b"QUIT\r\n")  # fmt: skip


class Accepts:
    """Takes every message at once."""

    def execute(self, request: object) -> object:
        return self._accept(request) if isinstance(request, Accept) else None

    async def _accept(self, request: Accept) -> Accepted:
        return Accepted("id", [None] * len(request.envelope.recipients))

    def close(self) -> None:
        """Nothing to give back."""


def send(port: int, count: int) -> None:
    """A client, one connection after the other."""
    for _ in range(count):
        with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as file:
            assert file.readline().startswith(b"220 ")
            for command in COMMANDS:
                sock.sendall(command)
                while file.readline()[3:4] == b"-":
                    pass


async def main(count: int) -> None:
    settings, limits = SmtpSettings(), LimitSettings()
    deadlines, sessions = Deadlines(), Sessions()

    def make(connection: Connection, tls: str, wake: Callable[[], None]) -> tuple[Session, Executor]:
        return Session(Role.MX, settings, "mx.example", Client(connection.address, connection.port, tls)), Accepts()

    def engine(connection: Connection) -> asyncio.Protocol:
        return SmtpEngine(make, settings, connection, deadlines, limits, sessions)

    admission = Admission(limits, 1, SharedCounts(None, 1))
    door = Door("mx", admission, engine, condition_reply, False, Networks(()), 10)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(door), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    fork = multiprocessing.get_context("fork")
    clients = [fork.Process(target=send, args=(port, count // CLIENTS)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    before = resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.gather(*(loop.run_in_executor(None, client.join) for client in clients))
    after = resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    print(f"{1e6 * (user + system) / count:.0f} us ({1e6 * user / count:.0f} user, {1e6 * system / count:.0f} system)")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 6000))
