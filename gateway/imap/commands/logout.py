"""LOGOUT (RFC 9051 6.1.3)."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import ANY, command
from gateway.imap.session import Session


@command("LOGOUT", states=ANY)
def logout(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    session.closing = True
    yield b"* BYE logging out\r\n"
    return ""
