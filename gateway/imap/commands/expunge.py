"""EXPUNGE (RFC 9051 6.4.3) and UID EXPUNGE (RFC 4315 2.1)."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.ports import Expunge
from gateway.imap.registry import SELECTED, command
from gateway.imap.session import Session


@command("EXPUNGE", states=SELECTED)
def expunge(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    session.writable()
    yield from session.ask(Expunge(None))
    return (yield from session.expunged())


@command("UID EXPUNGE", states=SELECTED)
def uid_expunge(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    ranges = arguments.sequence_set()
    arguments.end()
    view = session.writable().view
    yield from session.ask(Expunge(view.uids(view.numbers(ranges, by_uid=True))))
    return (yield from session.expunged())
