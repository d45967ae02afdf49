"""VANISHED (RFC 7162 3.2.10): which messages are gone, by UID. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from gateway.imap.parser import MAX_NUMBER, Ranges
from gateway.imap.sets import Run, lines_of, runs_of
from gateway.imap.view import View

EARLIER = b"* VANISHED (EARLIER) "


def merged(ranges: Ranges, last: int) -> list[Run]:
    """A set of UIDs as ascending ranges that do not touch; `*` is `last`."""
    found: list[Run] = []
    for low, high in sorted(
        (min(first or last, end or last), max(first or last, end or last)) for first, end in ranges
    ):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def _within(runs: Iterable[Run], wanted: Sequence[Run]) -> Iterator[Run]:
    """What ascending ranges have in common with `wanted`."""
    at = 0
    for low, high in runs:
        while at < len(wanted) and wanted[at][1] < low:
            at += 1
        here = at
        while here < len(wanted) and wanted[here][0] <= high:
            yield max(low, wanted[here][0]), min(high, wanted[here][1])
            here += 1


def _gaps(view: View, uidnext: int) -> Iterator[Run]:
    """The UIDs below `uidnext` that no message has."""
    before = 0
    for uid in view.uids(range(1, view.count + 1)):
        if uid > before + 1:
            yield before + 1, uid - 1
        before = uid
    if uidnext - 1 > before:
        yield before + 1, uidnext - 1


def earlier(view: View, expunged: Sequence[int] | None, known: Ranges | None) -> Iterator[bytes]:
    """What vanished before, of the UIDs `known` (None: all).

    `expunged` are ascending UIDs of messages that were expunged since the client looked; where nobody knows these any
    more (None), every UID that no message has is told, which is right, too (RFC 7162 3.2.5.1).
    """
    wanted = merged(known, view.last_uid or MAX_NUMBER) if known is not None else None
    if expunged is None:
        runs = _gaps(view, view.contents.uidnext)
        yield from lines_of(EARLIER, runs if wanted is None else _within(runs, wanted))
        return
    if wanted is not None:
        starts = [low for low, _ in wanted]

        def is_wanted(uid: int) -> bool:
            at = bisect_right(starts, uid) - 1
            return at >= 0 and uid <= wanted[at][1]
    else:

        def is_wanted(uid: int) -> bool:
            return True

    # one that the session still has a number for is told when it may be
    gone = (uid for uid in expunged if is_wanted(uid) and not view.number(uid))
    yield from lines_of(EARLIER, runs_of(gone))
