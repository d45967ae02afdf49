"""CLOSE (RFC 9051 6.4.1), which expunges silently, and UNSELECT (RFC 3691)."""

from gateway.ask import Ask, Dialogue
from gateway.imap.parser import Parser
from gateway.imap.ports import Expunge
from gateway.imap.registry import SELECTED, command
from gateway.imap.session import Session


@command("CLOSE", states=SELECTED)
def close(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    assert session.selected is not None
    if not session.selected.read_only:
        yield Ask(Expunge(None))  # who has no right to expunge closes all the same (RFC 4314 4)
    session.selected = None
    return ""


@command("UNSELECT", states=SELECTED, capability="UNSELECT")
def unselect(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    session.selected = None
    yield from ()
    return ""
