"""NOOP (RFC 9051 6.1.2)."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import ANY, command
from gateway.imap.session import Session


@command("NOOP", states=ANY)
def noop(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    yield from ()
    return ""
