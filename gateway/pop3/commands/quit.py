"""QUIT and NOOP (RFC 1939 4, 5, 6)."""

from gateway.ask import Ask, Dialogue
from gateway.pop3.ports import Update
from gateway.pop3.registry import command
from gateway.pop3.session import Session


@command("NOOP", logged_in=True)
def noop(session: Session, argument: bytes) -> Dialogue:
    yield b"+OK\r\n"


@command("QUIT", logged_in=None)
def quit_session(session: Session, argument: bytes) -> Dialogue:
    session.closing = True
    if session.maildrop is not None:
        read = set() if session.settings.leave_on_server else session.retrieved
        yield Ask(Update(tuple(sorted(session.deleted | read))))
    yield session.ok("bye")
