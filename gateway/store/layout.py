"""Names of mailboxes and where they lie: Maildir++ folders in modified UTF-7 (RFC 9051 A.1). Pure.

The mailbox `Work/Ärzte v1.2` is the folder `.Work.&AMQ-rzte v1&AC4-2` in the Maildir; INBOX is the
Maildir itself.
"""

from __future__ import annotations

import binascii
import hashlib
import re
import unicodedata

from gateway.store.errors import InvalidMailboxName
from gateway.store.repository import INBOX

PLACES = ("tmp", "new", "cur")  # of a Maildir
SEPARATOR = "/"
RESERVED = ("Shared", "Other Users")  # namespaces of others' mailboxes
MAX_NAME = 1_000  # characters of a mailbox name
MAX_FOLDER = 250  # octets of a folder's name, file systems take 255
MAX_DEPTH = 32
_CODED = re.compile(r"[^\x20-\x25\x27-\x2d\x2f-\x7e]+")  # `&` and `.` are coded too
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_NUMBERS = {key: re.compile(rf",{key}=(\d{{1,18}})(?=,|$)") for key in "SWU"}


def _encode_part(match: re.Match[str]) -> str:
    parts = re.split("(&)", match[0])
    coded = []
    for part in parts:
        if part == "&":
            coded.append("&-")
        elif part:
            text = binascii.b2a_base64(part.encode("utf-16-be"), newline=False).rstrip(b"=")
            coded.append(f"&{text.decode().replace('/', ',')}-")
    return "".join(coded)


def encode_level(level: str) -> str:
    """One level of a mailbox name as part of a folder name."""
    return _CODED.sub(_encode_part, level)


def decode_level(text: str) -> str:
    """The reverse of `encode_level`. Raises ValueError."""
    out = []
    position = 0
    while (start := text.find("&", position)) >= 0:
        out.append(text[position:start])
        end = text.index("-", start)
        coded = text[start + 1 : end].replace(",", "/")
        if not coded:
            out.append("&")
        else:
            raw = binascii.a2b_base64(coded + "=" * (-len(coded) % 4))
            out.append(raw.decode("utf-16-be"))
        position = end + 1
    out.append(text[position:])
    return "".join(out)


def checked_name(name: str, *, may_be_shared: bool = False) -> str:
    """The name as it is kept: NFC, INBOX in upper case, no separator at the end. Raises InvalidMailboxName.

    Only subscriptions name mailboxes in other stores (`may_be_shared`).
    """
    name = unicodedata.normalize("NFC", name).removesuffix(SEPARATOR)
    if len(name) > MAX_NAME:
        raise InvalidMailboxName("the name is too long")
    levels = name.split(SEPARATOR)
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    if len(levels) > MAX_DEPTH:
        raise InvalidMailboxName("too many levels")
    if levels[0] in RESERVED and not may_be_shared:
        raise InvalidMailboxName(f"{levels[0]} holds other people's mailboxes")
    for level in levels:
        if not level or level in (".", ".."):
            raise InvalidMailboxName("a level is empty or only dots")
        if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in level):
            raise InvalidMailboxName("control characters are not allowed")
        if "*" in level or "%" in level:
            raise InvalidMailboxName("wildcards are not allowed")
    name = SEPARATOR.join(levels)
    if len(folder_of(name).encode()) > MAX_FOLDER:
        raise InvalidMailboxName("the name is too long")
    return name


def folder_of(name: str) -> str:
    """The folder of a mailbox inside the Maildir; empty for INBOX."""
    if name == INBOX:
        return ""
    return "." + ".".join(encode_level(level) for level in name.split(SEPARATOR))


def name_of(folder: str) -> str | None:
    """The mailbox of a folder inside the Maildir; None when it is none, or not the one that its name leads to."""
    if not folder.startswith(".") or folder.startswith(".."):
        return None
    try:
        name = checked_name(SEPARATOR.join(decode_level(level) for level in folder[1:].split(".")))
    except ValueError:
        return None
    return name if folder_of(name) == folder else None


def path_variables(account: str, primary: str) -> dict[str, str]:
    """What a `path_template` may use."""
    user = (primary or account).partition("@")[0]
    return {
        "hash": hashlib.sha256(account.encode()).hexdigest(),
        "id": _UNSAFE.sub("_", account),
        "u": _UNSAFE.sub("_", user),
        "sha": hashlib.sha256(user.encode()).hexdigest(),
    }


def unique_part(file: str) -> str:
    """The unique part of a message file's name."""
    return file.partition(":")[0].partition(",")[0]


def split_file(file: str) -> tuple[str, str]:
    """(name up to `:`, letters behind `:2,`) of a message file."""
    name, _, info = file.partition(":")
    return name, info[2:] if info.startswith("2,") else ""


def number_in(name: str, key: str) -> int | None:
    """The number behind `,S=`, `,W=` or `,U=` in a file name."""
    found = _NUMBERS[key].search(name)
    return int(found[1]) if found else None
