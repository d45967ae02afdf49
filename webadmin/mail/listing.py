"""Rows of the list of messages: what of a message is seen there, and nothing else of it is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.mime.encoded import guessed_text
from webadmin.mail import conversations
from webadmin.mail.addresses import Address, addresses, clean, header_text
from webadmin.mail.answers import Value, octets
from webadmin.mail.conversations import KEPT, Conversations
from webadmin.mail.dates import from_internal
from webadmin.mail.folders import Folder
from webadmin.mail.labels import labels_of
from webadmin.mail.reading import flag_names
from webadmin.mail.store import Store

_ITEMS = b"(UID FLAGS INTERNALDATE ENVELOPE PREVIEW BODYSTRUCTURE)"
MAX_PEOPLE = 3
MAX_PREVIEW = 140  # characters
MAX_FLAGS = 5000  # messages whose flags are looked at for one page of conversations
MAX_CONVERSATION = 50  # messages that are listed beside one of them
ORDERS = {
    "newest": b"(REVERSE ARRIVAL)",
    "oldest": b"(ARRIVAL)",
    "sender": b"(DISPLAYFROM REVERSE ARRIVAL)",
    "subject": b"(SUBJECT REVERSE ARRIVAL)",
    "largest": b"(REVERSE SIZE)",
}


@dataclass(slots=True)
class Row:
    """A message in the list, or the newest of a conversation of `count`."""

    uid: int
    flags: frozenset[str]
    labels: list[str]
    arrived: datetime
    subject: str
    authors: list[Address]
    to: list[Address]
    preview: str
    has_attachment: bool
    #: all of the conversation, as the form sends them
    uids: str
    count: int = 1
    is_seen: bool = True

    @property
    def is_flagged(self) -> bool:
        return "\\flagged" in self.flags

    @property
    def is_answered(self) -> bool:
        return "\\answered" in self.flags

    @property
    def is_forwarded(self) -> bool:
        return "$forwarded" in self.flags


@dataclass(frozen=True, slots=True)
class Listed:
    """A part of what was found, and how much that is in all."""

    rows: list[Row]
    total: int


def listed(store: Store, keys: Sequence[bytes], order: str, first: int, count: int) -> Listed:
    """`count` messages from the place `first`."""
    uids, total = store.search(keys, first, count, ORDERS.get(order, ORDERS["newest"]))
    return Listed(rows(store, uids), total)


def listed_conversations(store: Store, account: str, folder: Folder, first: int, count: int) -> Listed:
    """`count` conversations from the place `first`."""
    found = _conversations(store, account, folder)
    return Listed(_newest(store, found, first, count), len(found))


def conversation(store: Store, account: str, folder: Folder, uid: int) -> list[Row]:
    """The rows of the conversation that a message is in, the oldest first, the last MAX_CONVERSATION of them."""
    uids = _conversations(store, account, folder).with_message(uid)
    return rows(store, uids[-MAX_CONVERSATION:]) if len(uids) > 1 else []


def _conversations(store: Store, account: str, folder: Folder) -> Conversations:
    place, state = (account, folder.name), (folder.validity, folder.next, folder.messages)
    found = KEPT.get(place, state)
    if found is None:
        found = conversations.read(store.threads())
        KEPT.put(place, state, found)
    return found


def _newest(store: Store, found: Conversations, first: int, count: int) -> list[Row]:
    groups = found.of(first, count)
    made = {row.uid: row for row in rows(store, [group[-1] for group in groups])}
    others = [uid for group in groups for uid in group[:-1]][:MAX_FLAGS]
    flags = {uid: flag_names(items.get(b"FLAGS")) for uid, items in store.fetch(others, b"(UID FLAGS)").items()}
    shown = []
    for group in groups:
        row = made.get(group[-1])
        if row is None:
            continue
        row.count = len(group)
        row.uids = ",".join(map(str, group))
        row.is_seen = row.is_seen and all("\\seen" in flags[uid] for uid in group[:-1] if uid in flags)
        shown.append(row)
    return shown


def rows(store: Store, uids: Sequence[int]) -> list[Row]:
    """The rows of these messages, in this order; those that are gone are left out."""
    found = store.fetch(uids, _ITEMS)
    return [_row(uid, found[uid]) for uid in uids if uid in found]


def _row(uid: int, items: dict[bytes, Value]) -> Row:
    envelope = items.get(b"ENVELOPE")
    fields: list[Value] = envelope if isinstance(envelope, list) and len(envelope) >= 6 else [None] * 6
    flags = flag_names(items.get(b"FLAGS"))
    return Row(
        uid,
        flags,
        labels_of(items.get(b"FLAGS")),
        from_internal(octets(items.get(b"INTERNALDATE"))),
        header_text(octets(fields[1])),
        addresses(fields[2], MAX_PEOPLE),
        addresses(fields[5], MAX_PEOPLE),
        clean(guessed_text(octets(items.get(b"PREVIEW"))))[:MAX_PREVIEW],
        _has_attachment(items.get(b"BODYSTRUCTURE"), 0),
        str(uid),
        is_seen="\\seen" in flags,
    )


def _has_attachment(value: Value, depth: int) -> bool:
    """True when the structure says that a file is attached."""
    if not isinstance(value, list) or depth > 8:
        return False
    for each in value:
        if isinstance(each, list):
            if len(each) == 2 and isinstance(each[0], bytes) and each[0].lower() == b"attachment":
                return True
            if each and _has_attachment(each, depth + 1):
                return True
    return False
