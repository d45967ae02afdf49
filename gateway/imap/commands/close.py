"""CLOSE (RFC 3501 6.4.2) and UNSELECT (RFC 3691).

No flag can be changed by a session yet (PERMANENTFLAGS is empty), so CLOSE has nothing to expunge.
"""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import SELECTED, command
from gateway.imap.session import Session


def _leave(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    session.selected = None
    yield from ()
    return ""


@command("CLOSE", states=SELECTED)
def close(session: Session, arguments: Parser) -> Dialogue:
    return (yield from _leave(session, arguments))


@command("UNSELECT", states=SELECTED, capability="UNSELECT")
def unselect(session: Session, arguments: Parser) -> Dialogue:
    return (yield from _leave(session, arguments))
