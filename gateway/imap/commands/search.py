"""SEARCH and UID SEARCH (RFC 3501 6.4.4, 6.4.8), ESEARCH (RFC 4731), WITHIN (RFC 5032), MODSEQ (RFC 7162 3.1.5)."""

from gateway.ask import Dialogue
from gateway.imap.contexts import Context
from gateway.imap.parser import Parser
from gateway.imap.progress import Progress
from gateway.imap.registry import SELECTED, announce, command
from gateway.imap.search_return import read_wish
from gateway.imap.searching import find, keep_up, read_search, told
from gateway.imap.session import Session

announce("ESEARCH")
announce("WITHIN")


@command("SEARCH", states=SELECTED, by_uid=True, keeps_numbers=True)
def search(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    assert session.selected is not None
    view = session.selected.view
    arguments.space()
    wish = read_wish(arguments)
    if wish is not None:
        session.require("ESEARCH")
    keys, test = read_search(session, view, arguments, wish, needs_charset=False)
    modseq, last_uid = view.contents.modseq, view.last_uid
    found = yield from find(view, keys, test, Progress(session.tag))
    yield from told(session, view, b"SEARCH", wish, keys, found, by_uid=by_uid)
    if wish is not None and wish.is_updated:
        results = view.uids(found)
        context = Context(session.tag, by_uid, keys, test, find, results, modseq, last_uid)
        yield from keep_up(session, context)
    return ""
