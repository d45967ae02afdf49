"""STATUS (RFC 3501 6.3.10)."""

from gateway.ask import Ask, Dialogue
from gateway.imap.names import mailbox_name, quoted
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Status
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import No, Session

ITEMS = (b"MESSAGES", b"RECENT", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN")


@command("STATUS", states=AUTHENTICATED)
def status(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = mailbox_name(arguments.astring())
    arguments.space()
    arguments.expect(b"(")
    items: list[bytes] = []
    while not arguments.at(b")"):
        if items:
            arguments.space()
        item = arguments.atom().upper()
        if item not in ITEMS or item in items:
            raise BadCommand("unknown or repeated STATUS item")
        items.append(item)
    arguments.end()
    figures = yield Ask(Status(name))
    if figures is None:
        raise No("[NONEXISTENT] no such mailbox")
    value = {
        b"MESSAGES": figures.messages,
        b"RECENT": 0,
        b"UIDNEXT": figures.uidnext,
        b"UIDVALIDITY": figures.uidvalidity,
        b"UNSEEN": figures.unseen,
    }
    told = b" ".join(item + b" %d" % value[item] for item in items)
    yield b"* STATUS " + quoted(name) + b" (" + told + b")\r\n"
    return ""
