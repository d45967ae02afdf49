"""DELE and RSET (RFC 1939 5)."""

from gateway.ask import Dialogue
from gateway.pop3.registry import command
from gateway.pop3.session import Session


@command("DELE", logged_in=True)
def dele(session: Session, argument: bytes) -> Dialogue:
    session.deleted.add(session.message(argument).uid)
    yield session.ok("marked")


@command("RSET", logged_in=True)
def rset(session: Session, argument: bytes) -> Dialogue:
    session.deleted.clear()
    yield session.ok("nothing is marked")
