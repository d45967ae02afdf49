"""What a tracker tells: a generator of events that the agent applies in order.

A tracker blocks between events for at most a few seconds; it raises `Deferred` when the directory
cannot be reached, and is then started anew with the last cookie.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from directory.raw import RawEntry


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The state after a gap. With `present` given, every id outside it is gone; otherwise only `deleted`.

    Sent only when the server said that the refresh was complete (result 0 or refreshDone).
    """

    changed: list[RawEntry]
    deleted: set[str] = field(default_factory=set)
    present: set[str] | None = None
    cookie: bytes | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """One live change; `entry` is None for a deletion."""

    id: str
    entry: RawEntry | None
    cookie: bytes | None = None


@dataclass(frozen=True, slots=True)
class Fresh:
    """Proof, not hope: everything committed in the directory before now has been told."""


Event = Refreshed | Changed | Fresh


class Tracker(Protocol):
    """Follows one directory."""

    def events(self, cookie: bytes | None) -> Iterator[Event]:
        """Events from where `cookie` left off, or from an empty copy. Raises Deferred."""
        ...

    def stop(self) -> None:
        """Make `events` end soon; callable from any thread."""
        ...
