"""Rows of the list of messages: what of a message is seen there, and nothing else of it is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.mime.encoded import guessed_text
from webadmin.mail.addresses import Address, addresses, clean, header_text
from webadmin.mail.answers import Value, octets
from webadmin.mail.dates import from_internal
from webadmin.mail.reading import flag_names
from webadmin.mail.store import Store

_ITEMS = b"(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE PREVIEW BODYSTRUCTURE)"
MAX_PEOPLE = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A message in the list."""

    uid: int
    flags: frozenset[str]
    arrived: datetime
    subject: str
    authors: list[Address]
    to: list[Address]
    preview: str
    has_attachment: bool

    @property
    def is_seen(self) -> bool:
        return "\\seen" in self.flags

    @property
    def is_flagged(self) -> bool:
        return "\\flagged" in self.flags

    @property
    def is_answered(self) -> bool:
        return "\\answered" in self.flags


def rows(store: Store, uids: Sequence[int]) -> list[Row]:
    """The rows of these messages, in this order; those that are gone are left out."""
    found = store.fetch(uids, _ITEMS)
    return [_row(uid, found[uid]) for uid in uids if uid in found]


def _row(uid: int, items: dict[bytes, Value]) -> Row:
    envelope = items.get(b"ENVELOPE")
    row: list[Value] = [*(envelope if isinstance(envelope, list) else []), *[None] * 10]
    return Row(
        uid,
        flag_names(items.get(b"FLAGS")),
        from_internal(octets(items.get(b"INTERNALDATE"))),
        header_text(octets(row[1])),
        addresses(row[2], MAX_PEOPLE),
        addresses(row[5], MAX_PEOPLE),
        clean(guessed_text(octets(items.get(b"PREVIEW")))),
        _has_attachment(items.get(b"BODYSTRUCTURE"), 0),
    )


def _has_attachment(value: Value, depth: int) -> bool:
    """True when the structure says that a file is attached."""
    if not isinstance(value, list) or depth > 8:
        return False
    for each in value:
        if isinstance(each, list):
            if len(each) == 2 and isinstance(each[0], bytes) and each[0].lower() == b"attachment":
                return True
            if each and isinstance(each[0], list | bytes) and _has_attachment(each, depth + 1):
                return True
    return False
