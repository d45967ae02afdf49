"""CLOSE (RFC 9051 6.4.1) and UNSELECT (RFC 3691)."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import SELECTED, command
from gateway.imap.session import Session


@command("CLOSE", states=SELECTED)
def close(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    session.selected = None
    yield from ()
    return ""


@command("UNSELECT", states=SELECTED, capability="UNSELECT")
def unselect(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    session.selected = None
    yield from ()
    return ""
