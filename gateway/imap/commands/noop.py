"""NOOP and CHECK: read the truth about the selected mailbox, hint or not (RFC 9051 6.1.2; RFC 3501 6.4.1)."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import ANY, SELECTED, command
from gateway.imap.session import Session


@command("NOOP", states=ANY)
def noop(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    yield from session.look()
    return ""


@command("CHECK", states=SELECTED)
def check(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    yield from session.look()
    return ""
