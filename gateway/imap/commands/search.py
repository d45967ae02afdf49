"""SEARCH and UID SEARCH (RFC 3501 6.4.4, 6.4.8), ESEARCH (RFC 4731), WITHIN (RFC 5032), MODSEQ (RFC 7162 3.1.5)."""

from collections.abc import Sequence

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import SELECTED, announce, command
from gateway.imap.search_keys import Keys
from gateway.imap.search_return import Wish, read_wish
from gateway.imap.searching import charset_of, find
from gateway.imap.session import No, Session
from gateway.imap.view import View

announce("ESEARCH")
announce("WITHIN")


def _modseq(view: View, wish: Wish | None, found: Sequence[int]) -> int:
    """The MODSEQ of the answer: of the messages that are named in it (RFC 7162 3.1.5, RFC 4731 3.2)."""
    named = found if wish is None else wish.named(found)
    return max((message.modseq for message in view.messages(named)), default=0)


@command("SEARCH", states=SELECTED, by_uid=True, keeps_numbers=True)
def search(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    assert session.selected is not None
    view = session.selected.view
    arguments.space()
    wish = read_wish(arguments)
    is_kept = wish is not None and wish.is_kept
    codec = "utf-8"
    if arguments.at(b"CHARSET "):
        try:
            codec = charset_of(arguments)
        except No:
            view.saved = () if is_kept else view.saved
            raise
        arguments.space()
    keys = Keys(arguments, view, codec)
    test = keys.read()
    if is_kept:
        view.saved = ()  # what a search that fails leaves (RFC 5182 2.1)
    if keys.needs.modseq:
        session.condstore = True
    found = yield from find(view, keys, test)
    modseq = _modseq(view, wish, found) if keys.needs.modseq else 0
    shown = view.uids(found) if by_uid else found
    if wish is None:
        said = b" ".join([b"* SEARCH", *[b"%d" % each for each in shown]])
        yield said + (b" (MODSEQ %d)\r\n" % modseq if modseq else b"\r\n")
    else:
        if wish.is_kept:
            view.saved = view.uids(wish.kept(found))
        yield from wish.told(session.tag, shown, modseq, by_uid=by_uid)
    return ""
