"""The tree of mailboxes with what is unread in each, by one LIST (RFC 5819), named in the reader's language where the
server says what a mailbox is for (RFC 6154)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from flask_babel import gettext

from webadmin.mail.answers import Value, number, octets, pairs, values, words
from webadmin.mail.store import Store, shown_name

MAX_FOLDERS = 5000
SEPARATOR = "/"
SHARED, OTHERS = "Shared/", "Other Users/"
USES = ("drafts", "sent", "junk", "trash", "archive", "all", "flagged")
ORDER = ("inbox", "drafts", "sent", "archive", "junk", "trash")


@dataclass(slots=True)
class Folder:
    """A mailbox, or a place above mailboxes that is none itself (`selectable` False)."""

    name: str
    #: what it is for: inbox, drafts, sent, junk, trash, archive, all, flagged, or ""
    special: str
    selectable: bool
    subscribed: bool
    messages: int = 0
    unseen: int = 0
    #: UIDVALIDITY and UIDNEXT
    validity: int = 0
    next: int = 0

    @property
    def level(self) -> int:
        return self.name.count(SEPARATOR)

    @property
    def last_name(self) -> str:
        return self.name.rpartition(SEPARATOR)[2]

    @property
    def is_foreign(self) -> bool:
        """Of a shared mailbox or another person."""
        return self.name.startswith((SHARED, OTHERS)) or self.name in (SHARED[:-1], OTHERS[:-1])

    @property
    def title(self) -> str:
        """What it is called here."""
        return title_of(self.special) or _places().get(self.name) or self.last_name


def _places() -> dict[str, str]:
    return {"Shared": gettext("Shared mailboxes"), "Other Users": gettext("Other people")}


def title_of(special: str) -> str:
    """The name of a special use, "" for none."""
    names: dict[str, str] = {
        "inbox": gettext("Inbox"),
        "drafts": gettext("Drafts"),
        "sent": gettext("Sent"),
        "junk": gettext("Junk"),
        "trash": gettext("Trash"),
        "archive": gettext("Archive"),
    }
    return names.get(special, "")


def folders(store: Store) -> list[Folder]:
    """All of them, those of special use first, the shared ones last. Raises NotPossible, Unavailable."""
    answered = store.ask(
        b"LIST", b'""', b'"*"', b"RETURN (SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UNSEEN UIDNEXT UIDVALIDITY))"
    )
    found: dict[bytes, Folder] = {}
    rows = values(answered.get("LIST", []))
    for at in range(0, len(rows) - 2, 3):
        if not isinstance(rows[at], list):
            break
        _add(found, rows[at], octets(rows[at + 2]))
    status = values(answered.get("STATUS", []))
    for name, figures in zip(status[::2], status[1::2], strict=False):
        folder = found.get(octets(name))
        if folder is not None:
            table = pairs(figures)
            folder.messages, folder.unseen = number(table.get(b"MESSAGES")), number(table.get(b"UNSEEN"))
            folder.validity, folder.next = number(table.get(b"UIDVALIDITY")), number(table.get(b"UIDNEXT"))
    return sorted(found.values(), key=_order)


def use_of(name: str, flags: Collection[bytes]) -> str:
    """What one's own mailbox of this name is for; `flags` as LIST answers them, in lower case (RFC 6154)."""
    return "inbox" if name == "INBOX" else next((use for use in USES if b"\\" + use.encode() in flags), "")


def _add(found: dict[bytes, Folder], flags: Value, name: bytes) -> None:
    if not name or len(found) >= MAX_FOLDERS:
        return
    marks = {each.lower() for each in words(flags)}
    text = shown_name(name)
    foreign = text.startswith((SHARED, OTHERS))
    found[name] = Folder(
        text,
        "" if foreign else use_of(text, marks),
        b"\\noselect" not in marks and b"\\nonexistent" not in marks,
        b"\\subscribed" in marks,
    )


def _order(folder: Folder) -> tuple[bool, list[tuple[int, str]]]:
    parts = folder.name.split(SEPARATOR)
    place = ORDER.index(folder.special) if folder.special in ORDER and len(parts) == 1 else len(ORDER)
    key = [(place if at == 0 else len(ORDER), part.casefold()) for at, part in enumerate(parts)]
    return folder.is_foreign, key


def special_of(tree: list[Folder], mailbox: str) -> str:
    """What a mailbox is for, "" for nothing special."""
    return next((folder.special for folder in tree if folder.name == mailbox), "")


def named(tree: list[Folder], special: str) -> str | None:
    """The person's own mailbox for a use, None when there is none."""
    return next((folder.name for folder in tree if folder.special == special), None)
