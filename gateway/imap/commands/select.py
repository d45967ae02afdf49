"""SELECT and EXAMINE (RFC 9051 6.3.2, 6.3.3)."""

from gateway.ask import Ask, Dialogue
from gateway.imap.names import mailbox_name
from gateway.imap.parser import Parser
from gateway.imap.ports import OpenMailbox
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import No, Session

FLAGS = r"\Answered \Flagged \Deleted \Seen \Draft"


def _open(session: Session, arguments: Parser, *, read_only: bool) -> Dialogue:
    arguments.space()
    name = mailbox_name(arguments.astring())
    arguments.end()
    session.selected = None
    opened = yield Ask(OpenMailbox(name, read_only))
    if opened is None:
        raise No("[NONEXISTENT] no such mailbox")
    session.selected = opened
    contents = opened.view.contents
    yield (
        f"* FLAGS ({FLAGS})\r\n"
        f"* OK [PERMANENTFLAGS ()] no flag can be changed\r\n"
        f"* {opened.view.count} EXISTS\r\n* 0 RECENT\r\n"
        f"* OK [UIDVALIDITY {contents.uidvalidity}] UIDs valid\r\n"
        f"* OK [UIDNEXT {contents.uidnext}] next UID\r\n"
    ).encode()
    return "[READ-ONLY] examined" if read_only else "[READ-WRITE] selected"


@command("SELECT", states=AUTHENTICATED)
def select(session: Session, arguments: Parser) -> Dialogue:
    return (yield from _open(session, arguments, read_only=False))


@command("EXAMINE", states=AUTHENTICATED)
def examine(session: Session, arguments: Parser) -> Dialogue:
    return (yield from _open(session, arguments, read_only=True))
