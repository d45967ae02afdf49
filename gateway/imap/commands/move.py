"""MOVE and UID MOVE (RFC 6851; RFC 9051 6.4.8)."""

from gateway.ask import Dialogue
from gateway.imap.commands.copy import copyuid
from gateway.imap.parser import Parser
from gateway.imap.ports import Copy
from gateway.imap.registry import SELECTED, command
from gateway.imap.session import No, Session


@command("MOVE", states=SELECTED, capability="MOVE", by_uid=True)
def move(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    arguments.space()
    ranges = arguments.sequence_set()
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    arguments.end()
    view = session.writable().view
    uids = view.uids(view.numbers(ranges, by_uid=by_uid))
    if not uids:
        return ""
    moved = yield from session.ask(Copy(uids, name, is_move=True))
    if not moved.uids:
        raise No("[EXPUNGEISSUED] these messages are expunged")
    yield f"* OK {copyuid(moved)} moved\r\n".encode()
    return (yield from session.expunged())
