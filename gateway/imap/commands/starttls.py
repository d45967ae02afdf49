"""STARTTLS (RFC 9051 6.2.1). What came behind the command in the clear is dropped, and the session starts anew."""

from gateway.ask import Ask, Dialogue
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import StartTls
from gateway.imap.registry import State, announce, command
from gateway.imap.session import No, Session

announce("STARTTLS", lambda phase: phase.upgradable and not phase.logged_in)


@command("STARTTLS", states=frozenset({State.NOT_AUTHENTICATED}))
def starttls(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    if session.tls:
        raise BadCommand("TLS is active")
    if not session.starttls_possible:
        raise No("[CANNOT] no TLS here")
    yield session.tag + b" OK begin TLS\r\n"
    session.framing.discard()
    yield Ask(StartTls())
    return None
