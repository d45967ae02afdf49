"""SORT and UID SORT (RFC 5256 3), SORT=DISPLAY (RFC 5957), ESORT (RFC 5267 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.ask import Ask, Dialogue
from gateway.imap.content import Compute, Octets, Pause
from gateway.imap.contexts import Context
from gateway.imap.parser import Parser
from gateway.imap.progress import Progress
from gateway.imap.registry import SELECTED, announce, command
from gateway.imap.search_return import read_wish
from gateway.imap.searching import VIEW_BATCH, collect, find, keep_up, read_search, told, within_limit
from gateway.imap.session import Session
from gateway.imap.sort_keys import Key, read_keys
from gateway.imap.view import View

announce("SORT=DISPLAY")
announce("ESORT")
announce("I18NLEVEL=1")  # RFC 5255 4.5: texts are compared by i;unicode-casemap


def _values(
    view: View, numbers: Sequence[int], keys: Sequence[tuple[Key, bool]], progress: Progress, *, envelope: bool
) -> Dialogue:
    """{UID: its value of each key}."""
    if envelope:
        return (
            yield from collect(
                view,
                numbers,
                Octets.NONE,
                lambda message, subject: [key(message, subject) for key, _ in keys],
                progress,
            )
        )
    found: dict[int, Any] = {}
    for start in range(0, len(numbers), VIEW_BATCH):
        if start:
            yield Ask(Pause())
        for message in view.messages(numbers[start : start + VIEW_BATCH]):
            found[message.uid] = [key(message, None) for key, _ in keys]
    return found


def _ordered(values: dict[int, Any], keys: Sequence[tuple[Key, bool]]) -> list[int]:
    """UIDs in order; those that are alike in all keys in the order of their numbers, REVERSE or not."""
    uids = sorted(values)
    for at in range(len(keys) - 1, -1, -1):
        uids.sort(key=lambda uid, at=at: values[uid][at], reverse=keys[at][1])  # type: ignore[misc]
    return uids


@command("SORT", states=SELECTED, capability="SORT", by_uid=True, keeps_numbers=True)
def sort(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    assert session.selected is not None
    view = session.selected.view
    arguments.space()
    wish = read_wish(arguments)
    sort_keys, needs_envelope = read_keys(arguments)
    arguments.space()
    keys, test = read_search(session, view, arguments, wish, needs_charset=True)
    progress = Progress(session.tag)
    modseq, last_uid = view.contents.modseq, view.last_uid
    found = yield from find(view, keys, test, progress)
    within_limit(session, found)
    values = yield from _values(view, found, sort_keys, progress, envelope=needs_envelope)
    uids = yield Ask(Compute(lambda: _ordered(values, sort_keys)))
    numbers = [number for number in map(view.number, uids) if number]
    yield from told(session, view, b"SORT", wish, keys, numbers, by_uid=by_uid)
    if wish is not None and wish.is_updated:
        context = Context(session.tag, by_uid, keys, test, find, uids, modseq, last_uid, values)
        context.values_of = lambda new: _values(view, new, sort_keys, progress, envelope=needs_envelope)
        context.ordered = lambda known: _ordered(known, sort_keys)
        yield from keep_up(session, context)
    return ""
