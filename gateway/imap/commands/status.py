"""STATUS (RFC 3501 6.3.10) with HIGHESTMODSEQ (RFC 7162 3.1.7), SIZE (RFC 8438), DELETED (RFC 9208)."""

from gateway.ask import Ask, Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import No, Session
from gateway.imap.status_items import SIZES, Status, read_status_items, status_line


@command("STATUS", states=AUTHENTICATED, capability="STATUS=SIZE")
def status(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    arguments.space()
    items = read_status_items(arguments)
    arguments.end()
    if b"HIGHESTMODSEQ" in items:
        session.use_condstore()
    figures = yield Ask(Status((name,), not SIZES.isdisjoint(items)))
    if name not in figures:
        raise No("[NONEXISTENT] no such mailbox")
    yield status_line(session.quoted(name), items, figures[name])
    return ""
