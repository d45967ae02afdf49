"""CAPABILITY (RFC 9051 6.1.1)."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import ANY, command
from gateway.imap.session import Session


@command("CAPABILITY", states=ANY)
def capability(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    yield f"* CAPABILITY {session.capability()}\r\n".encode()
    return ""
