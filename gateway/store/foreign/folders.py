"""The mailboxes of another server's Maildir++ store, and what they are called here."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from gateway.store.errors import InvalidMailboxName
from gateway.store.foreign.records import Unreadable
from gateway.store.layout import RESERVED, SEPARATOR, checked_name, decode_level
from gateway.store.repository import INBOX

MAX_FOLDERS = 4_900  # an account may have 5,000 mailboxes


class Folder(NamedTuple):
    """A mailbox: its folder in the Maildir ("" for INBOX), its name here, and whether that had to be changed."""

    entry: str
    name: str
    is_renamed: bool


def folders(root: str) -> list[Folder]:
    """INBOX first, then the others by folder. Raises Unreadable, OSError."""
    if not os.path.isdir(os.path.join(root, "cur")):
        raise Unreadable(f"{root} is not a Maildir: it has no folder cur. Name the folder that holds cur, new and tmp")
    found = [Folder("", INBOX, is_renamed=False)]
    names = {INBOX}
    for entry in sorted(os.listdir(root)):
        if not os.path.isdir(os.path.join(root, entry, "cur")):
            continue
        if not entry.startswith(".") or entry.startswith(".."):
            raise Unreadable(
                f"{root}/{entry} is a mailbox that is no folder of Maildir++ (LAYOUT=fs?): first let Dovecot convert it, "
                "doveadm -o mail_location=maildir:NEW backup ..."
            )
        name, is_renamed = _name(entry)
        while name in names:
            name, is_renamed = f"{name}_", True
        names.add(name)
        found.append(Folder(entry, name, is_renamed))
    if len(found) > MAX_FOLDERS:
        raise Unreadable(f"{root} holds {len(found)} mailboxes, {MAX_FOLDERS} are allowed")
    return found


def _name(entry: str) -> tuple[str, bool]:
    name = SEPARATOR.join(_levels(entry))
    try:
        return checked_name(name), SEPARATOR.join(_decoded(entry)) != name
    except InvalidMailboxName:
        return f"Adopted {hashlib.sha256(entry.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}", True


def _decoded(entry: str) -> Iterator[str]:
    for part in entry[1:].split("."):
        try:
            yield decode_level(part)
        except ValueError:
            yield part


def _levels(entry: str) -> Iterator[str]:
    """The levels of a name with `_` for what no mailbox may be called here."""
    for number, level in enumerate(_decoded(entry)):
        kept = "".join("_" if _is_bad(character) else character for character in level) or "_"
        yield f"{kept}_" if not number and kept in RESERVED else kept


def _is_bad(character: str) -> bool:
    return character in "*%/" or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
