"""COPY and UID COPY (RFC 9051 6.4.7), answered with COPYUID (RFC 4315 3)."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.ports import Copied, Copy
from gateway.imap.registry import SELECTED, announce, command
from gateway.imap.session import No, Session
from gateway.imap.sets import set_of

announce("UIDPLUS")


def copyuid(copied: Copied) -> str:
    """The response code, "" when nothing was copied."""
    if not copied.uids:
        return ""
    sources, targets = zip(*copied.uids, strict=True)
    return f"[COPYUID {copied.uidvalidity} {set_of(sources)} {set_of(targets)}]"


@command("COPY", states=SELECTED, by_uid=True, keeps_numbers=True)
def copy(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    arguments.space()
    ranges = arguments.sequence_set()
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    arguments.end()
    assert session.selected is not None
    view = session.selected.view
    uids = view.uids(view.numbers(ranges, by_uid=by_uid))
    if not uids:
        return ""
    copied = yield from session.ask(Copy(uids, name))
    if not copied.uids:
        raise No("[EXPUNGEISSUED] these messages are expunged")
    return copyuid(copied) + " copied"
