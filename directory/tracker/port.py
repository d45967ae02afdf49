"""What a tracker tells: a generator of events that the follower applies in order.

A tracker blocks between events for at most a few seconds; it raises `Deferred` when the directory
cannot be reached, and is then started anew with the last cookie. A refresh is told in batches, so
that no side holds a whole directory in memory; it counts only when `RefreshDone` comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from directory.raw import RawEntry


@dataclass(frozen=True, slots=True)
class RefreshBegun:
    """The state after a gap follows, in batches. What an earlier, unfinished refresh told is void."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Part of a refresh: entries as they are now, ids that exist unchanged, ids that are gone."""

    entries: tuple[RawEntry, ...] = ()
    present: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefreshDone:
    """The server said that the refresh is complete. `by_presence`: every id not told is gone.

    `only_ids`: nothing but ids was compared (a safety net against missed deletions).
    """

    cookie: bytes | None
    by_presence: bool
    only_ids: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One live change; `entry` is None for a deletion."""

    id: str
    entry: RawEntry | None


@dataclass(frozen=True, slots=True)
class Changed:
    """Live changes in the order in which they happened, as many as had arrived."""

    changes: tuple[Change, ...]
    cookie: bytes | None = None


@dataclass(frozen=True, slots=True)
class Fresh:
    """Proof, not hope: everything committed in the directory before unix time `at` has been told."""

    at: float
    cookie: bytes | None = None


Event = RefreshBegun | Batch | RefreshDone | Changed | Fresh


class StaleCookie(Exception):
    """The cookie is too old for the server, or the copy differs: start again without a cookie."""


class NotOffered(Exception):
    """The server does not offer what this tracker needs; the message says what."""


class Tracker(Protocol):
    """Follows one directory. `name`: the method; `server`: the URL in use, "" while there is none."""

    @property
    def name(self) -> str: ...

    @property
    def server(self) -> str: ...

    def events(self, cookie: bytes | None) -> Iterator[Event]:
        """Events from where `cookie` left off, or from an empty copy. Raises Deferred, StaleCookie."""
        ...

    def stop(self) -> None:
        """Make `events` end soon; callable from any thread."""
        ...

    def interrupt(self) -> None:
        """Make the `events` under way end soon, to begin anew; callable from any thread."""
        ...

    def compare_within(self, seconds: float) -> None:
        """Compare all ids within so many seconds: something is held that may have returned unseen."""
        ...
