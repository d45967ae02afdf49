"""ESEARCH: one search in many mailboxes, whether one is selected or not (RFC 7377)."""

from __future__ import annotations

import copy

from gateway.ask import Ask, Dialogue
from gateway.imap.content import Pause
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.progress import Progress
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.search_return import ALL, Wish, read_wish
from gateway.imap.searching import find, read_search
from gateway.imap.session import Session
from gateway.imap.sources import SELECTED, FindMailboxes, VisitMailbox, Wanted, read_sources
from gateway.imap.view import Contents, View

_NOWHERE = ("", 0, "")


def _searched(
    session: Session, view: View, mailbox: str, arguments: Parser, wish: Wish, progress: Progress, *, numbers: bool
) -> Dialogue:
    """Search one mailbox and tell what there is; of one where nothing is found nothing (RFC 7377 2.1)."""
    keys, test = read_search(session, view, arguments, wish, needs_charset=False, numbers=numbers)
    found = yield from find(view, keys, test, progress)
    if wish.is_kept:
        view.saved = sorted(view.uids(wish.kept(found)))
    if not found:
        return
    named = wish.named(found)
    modseq = max((message.modseq for message in view.messages(named)), default=0) if keys.needs.modseq else 0
    place = b"MAILBOX %b UIDVALIDITY %d" % (session.quoted(mailbox), view.contents.uidvalidity)
    yield from wish.told(session.tag, view.uids(found), modseq, by_uid=True, place=place)


@command("ESEARCH", states=AUTHENTICATED, capability="MULTISEARCH")
def esearch(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    sources = read_sources(arguments)
    wish = read_wish(arguments) or ALL
    is_selected = any(source.kind == SELECTED for source in sources)
    others = [
        Wanted(source.kind, tuple(session.mailbox_name(name) for name in source.names))
        for source in sources
        if source.kind != SELECTED
    ]
    if is_selected and session.selected is None:
        raise BadCommand("no mailbox is selected")
    if wish.is_updated:
        raise BadCommand("searches in many mailboxes are not kept up to date")
    if others and wish.is_kept:
        raise BadCommand("only what is found in the selected mailbox can be kept")  # RFC 7377 2.2
    # what is wrong with the keys is wrong everywhere, and told before anything else is
    empty = View(Contents(_NOWHERE, 0))
    empty = session.selected.view if session.selected is not None and not others else empty
    if not wish.is_kept:
        read_search(session, empty, copy.copy(arguments), wish, needs_charset=False, numbers=not others)
    progress = Progress(session.tag)
    if session.selected is not None and is_selected:
        name = session.selected.name
        yield from _searched(
            session, session.selected.view, name, copy.copy(arguments), wish, progress, numbers=not others
        )
    names = (yield from session.ask(FindMailboxes(others))) if others else ()
    for name in names:
        if is_selected and session.selected is not None and name == session.selected.name:
            continue
        yield Ask(Pause())
        view = yield Ask(VisitMailbox(name))
        if view is not None:
            yield from _searched(session, view, name, copy.copy(arguments), wish, progress, numbers=False)
    return ""
