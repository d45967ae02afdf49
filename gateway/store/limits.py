"""How much a store may hold at this moment: the hard quota, and the soft one once its grace is over.

A holder may be over `quota_soft` for `quota_grace` seconds; from then on the soft quota is a hard one until the
store is back at or below it. Since when a store is over is kept beside the index, for an index may be made anew.
It is looked at whenever something is added: before, so that room made meanwhile ends the grace, and after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from directory.model import Deferred, MailboxHolder
from gateway.store.repository import AccountRow, Limits


class OverSoft(Protocol):
    """Since when accounts are over their soft quota. Nothing is raised: trouble here stops no mail."""

    def since(self, account: str) -> float | None:
        """Unix time, None for one that is not."""
        ...

    def note(self, account: str, is_over: bool, now: float) -> None:
        """Remember that it is over since `now`, unless it was before; or that it is not any more."""
        ...


class NeverOver:
    """Remembers nothing: the soft quota counts only without grace."""

    def since(self, account: str) -> float | None:
        return None

    def note(self, account: str, is_over: bool, now: float) -> None:
        return None


def grace_ends(holder: MailboxHolder, since: float | None) -> float | None:
    """When the soft quota becomes a hard one, unix time; None when it does not by itself."""
    return None if since is None or holder.quota_grace is None else since + holder.quota_grace


def is_over(holder: MailboxHolder, over: OverSoft, use: Callable[[str], AccountRow | None]) -> bool:
    """True when a store that went over its soft quota is over it still. False while nobody can say."""
    if not holder.quota_soft or over.since(holder.id) is None:
        return False
    try:
        row = use(holder.id)
    except Deferred:
        return False
    return row is not None and row.used_bytes > holder.quota_soft


def limits_of(
    holder: MailboxHolder, over: OverSoft, use: Callable[[str], AccountRow | None], now: float, *, note: bool
) -> Limits:
    """What holds at `now`; `use` is asked only for a store that was over its soft quota.

    `note`: forget that it was over when it is not any more (a write).
    """
    octets = holder.quota or 0
    soft = holder.quota_soft or 0
    if soft and (not octets or soft < octets) and _is_hard(holder, soft, over, use, now, note):
        octets = soft
    return Limits(octets, holder.quota_messages or 0)


def _is_hard(
    holder: MailboxHolder, soft: int, over: OverSoft, use: Callable[[str], AccountRow | None], now: float, note: bool
) -> bool:
    if holder.quota_grace == 0:
        return True
    ends = grace_ends(holder, over.since(holder.id))
    if ends is None:
        return False
    try:
        row = use(holder.id)
    except Deferred:  # nobody is refused for what cannot be known now
        return False
    if row is None or row.used_bytes <= soft:
        if note:
            over.note(holder.id, False, now)
        return False
    return now >= ends


def note_use(
    holder: MailboxHolder,
    over: OverSoft,
    use: Callable[[str], AccountRow | None],
    now: float,
    used: int | None = None,
) -> None:
    """Something was added: remember when it is now over the soft quota. `use` is asked where `used` is not known."""
    if not holder.quota_soft:
        return
    if used is None:
        try:
            row = use(holder.id)
        except Deferred:  # the next addition will see it
            return
        if row is None:
            return
        used = row.used_bytes
    over.note(holder.id, used > holder.quota_soft, now)
