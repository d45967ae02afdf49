"""STLS (RFC 2595 4)."""

from gateway.ask import Ask, Dialogue
from gateway.pop3.ports import StartTls
from gateway.pop3.registry import Wrong, command
from gateway.pop3.session import Session


@command("STLS", logged_in=False)
def stls(session: Session, argument: bytes) -> Dialogue:
    if session.tls or not session.may_start_tls:
        raise Wrong("no TLS to be started")
    session.user = None
    yield session.ok("begin TLS")
    session.is_utf8 = False
    session.discard()
    yield Ask(StartTls())
