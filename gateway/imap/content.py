"""What reading commands ask about the content of messages in the selected mailbox, and what they get."""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gateway.imap.view import Contents, Message
from gateway.mime import Parsed


class Octets(enum.IntEnum):
    """How much of a message is needed; each includes the ones before."""

    NONE = 0
    HEADER = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class ReadContents:
    """Content of messages. Answer: {uid: Content}, those that are gone left out."""

    uids: tuple[int, ...]
    octets: Octets
    #: also what the MIME scanner finds
    parsed: bool


@dataclass(slots=True)
class Content:
    """One message's stored octets, which have LF line ends.

    `data` is its beginning: what was asked for, or less of a message larger than `ImapSettings.piece`;
    then `source` stands for the open file in `ReadSpan`, `CountLines` and `SkipOctets`. The file is
    closed when the last reference goes.
    """

    size: int
    data: bytes = b""
    parsed: Parsed | None = None
    source: object = None


@dataclass(frozen=True, slots=True)
class ReadFacts:
    """What the index knows of messages besides the view. Answer: {uid: `Facts`}, those that are gone left out."""

    uids: tuple[int, ...]
    #: a mailbox that is not the selected one
    visited: Contents | None = None


class Facts(NamedTuple):
    """`emailid` is the same for all copies of a message (RFC 8474 5.1); `savedate` is when it came into this mailbox,
    seconds since 1970 (RFC 8514 2)."""

    emailid: str
    savedate: float


@dataclass(frozen=True, slots=True)
class ReadSpan:
    """Stored octets [start, end). Answer: bytes, shorter when the file has been cut."""

    source: object
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class CountLines:
    """How many LF stand in [start, end). Answer: int."""

    source: object
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SkipOctets:
    """Where one stands in [start, end) after `octets` of its CRLF form. Answer: (stored offset, half).

    With `half` the CR of the line end at that offset is skipped and its LF is not.
    """

    source: object
    start: int
    end: int
    octets: int


@dataclass(frozen=True, slots=True)
class SearchContents:
    """Test messages with their content. Answer: {uid: True, False, or None}, None where the test needs
    more of the content than was asked for; those that are gone left out."""

    messages: tuple[Message, ...]
    octets: Octets
    parsed: bool
    test: Callable[[Message, Any], bool | None]
    #: a mailbox that is not the selected one
    visited: Contents | None = None


@dataclass(frozen=True, slots=True)
class FindCandidates:
    """Which messages of a mailbox may hold these texts, which are folded. Answer: `Candidates`.

    `count` messages are to be looked into otherwise.
    """

    texts: tuple[str, ...]
    count: int
    #: a mailbox that is not the selected one
    visited: Contents | None = None


@dataclass(frozen=True, slots=True)
class Candidates:
    """`holding`: for a text the UIDs of messages that may hold it; of those in `known` no others do.

    A text that is not in `holding` may be anywhere.
    """

    known: Collection[int] = ()
    holding: Mapping[str, Collection[int]] = field(default_factory=dict)

    def exclude(self, uid: int, text: str) -> bool:
        """True when a message certainly does not hold a text."""
        holding = self.holding.get(text)
        return holding is not None and uid in self.known and uid not in holding


@dataclass(frozen=True, slots=True)
class Compute:
    """Do something long that needs nothing but itself, while other sessions have their turn. Answer: its result."""

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Clock:
    """The present time. Answer: unix time, seconds."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Let other sessions have their turn. Answer: None."""
