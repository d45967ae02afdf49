"""IDLE (RFC 2177; RFC 9051 6.3.13): news are told when they happen, until the client says DONE."""

from gateway.ask import Ask
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Watch
from gateway.imap.registry import AUTHENTICATED, LINE, Interactive, command
from gateway.imap.session import Session


@command("IDLE", states=AUTHENTICATED, capability="IDLE", interactive=True)
def idle(session: Session, arguments: Parser) -> Interactive:
    arguments.end()
    if session.selected is not None:
        # watched first: what changes from here on is either read now or hinted at
        yield Ask(Watch(True))
        yield from session.look()
        yield from session.changes(may_expunge=True)
    if session.closing:
        return None
    yield b"+ idling\r\n"
    session.idling = True
    try:
        line = yield LINE
    finally:
        session.idling = False
    yield Ask(Watch(False))
    if line.upper() != b"DONE":
        raise BadCommand("DONE expected")
    return ""
