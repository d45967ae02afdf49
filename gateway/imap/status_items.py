"""The items of STATUS, read and answered (RFC 3501 6.3.10, RFC 7162 3.1.7, RFC 8438, RFC 9208 4.1.4, RFC 8474 4.3, RFC 7889 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.imap.parser import BadCommand, Parser


@dataclass(frozen=True, slots=True)
class Status:
    """Figures of mailboxes without selecting them. Answer: {name: `Figures`}, those that are gone left out.

    `sizes` asks for the two figures that cost a look at every message.
    """

    names: tuple[str, ...]
    sizes: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """What STATUS tells. `size` counts octets on the wire, `deleted_size` stored octets with \\Deleted."""

    messages: int
    unseen: int
    deleted: int
    uidnext: int
    uidvalidity: int
    highestmodseq: int
    size: int = 0
    deleted_size: int = 0
    mailbox_id: str = ""
    append_limit: int = 0


_VALUES: dict[bytes, Callable[[Figures], int | str]] = {
    b"MESSAGES": lambda figures: figures.messages,
    b"RECENT": lambda _: 0,
    b"UIDNEXT": lambda figures: figures.uidnext,
    b"UIDVALIDITY": lambda figures: figures.uidvalidity,
    b"UNSEEN": lambda figures: figures.unseen,
    b"DELETED": lambda figures: figures.deleted,
    b"HIGHESTMODSEQ": lambda figures: figures.highestmodseq,
    b"SIZE": lambda figures: figures.size,
    b"DELETED-STORAGE": lambda figures: figures.deleted_size,
    b"MAILBOXID": lambda figures: f"({figures.mailbox_id})",
    b"APPENDLIMIT": lambda figures: figures.append_limit,
}
SIZES = frozenset((b"SIZE", b"DELETED-STORAGE"))


def read_status_items(arguments: Parser) -> list[bytes]:
    """A list of items. Raises BadCommand."""
    arguments.expect(b"(")
    items: list[bytes] = []
    while not arguments.at(b")"):
        if items:
            arguments.space()
        item = arguments.atom().upper()
        if item not in _VALUES or item in items:
            raise BadCommand("unknown or repeated STATUS item")
        items.append(item)
    if not items:
        raise BadCommand("a STATUS item expected")
    return items


def status_line(shown: bytes, items: Sequence[bytes], figures: Figures) -> bytes:
    """The untagged answer for a mailbox whose name is `shown` so."""
    told = b" ".join([b"%b %b" % (item, str(_VALUES[item](figures)).encode()) for item in items])
    return b"* STATUS %b (%b)\r\n" % (shown, told)
