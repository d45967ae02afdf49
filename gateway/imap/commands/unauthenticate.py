"""UNAUTHENTICATE (RFC 8437): the connection stays, with its TLS, and somebody else may log in."""

from gateway.ask import Ask, Dialogue
from gateway.imap.parser import Parser
from gateway.imap.ports import LogOut
from gateway.imap.registry import AUTHENTICATED, announce, command
from gateway.imap.session import No, Session

announce("UNAUTHENTICATE", lambda phase: phase.logged_in and not phase.compressed)


@command("UNAUTHENTICATE", states=AUTHENTICATED)
def unauthenticate(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    if session.compressed:
        raise No("[CANNOT] a compressed connection ends with its session")
    session.log_out()
    yield Ask(LogOut())
    return f"[CAPABILITY {session.capability()}] logged out"
