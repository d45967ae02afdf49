"""The file that one store is exported to: a tar of a Maildir++ with what its file names cannot tell. Format 1.

Members, in this order, all of them regular files:

    gatepost-export.json                          who it was of, and when: {"format", "version", "account", "addresses", …}
    Maildir[/.<folder>]/cur/<name>,U=<uid>:2,<letters>   a message; its time is the INTERNALDATE
    Maildir[/.<folder>]/.gatepost-mailbox         UIDVALIDITY, special use, rights, annotations, flags and keywords of it
    Maildir/gatepost-subscriptions
    Maildir/gatepost-uidls                        POP3 unique-ids that another server gave, where there are any
    index.tsv                                     a line a message, in the order of the messages, see `INDEX_FIELDS`
    gatepost-end.json                             what there is: {"messages", "octets", "mailboxes", "index", "markers"}

The digests in the last member are SHA-256 of index.tsv and of all markers and subscriptions together, one after the
other. A file without the last member was cut off. Whatever reads Maildir reads this, letters of the flags included.
"""

from __future__ import annotations

import os
import re
import tarfile
from typing import Any

import msgspec

from gateway.store import markers, uidls
from gateway.store.layout import name_of, number_in, split_file
from gateway.store.objectid import email_id_in
from gateway.store.repository import INBOX, MessageRow

FORMAT = "gatepost-store"
VERSION = 1
HEAD = "gatepost-export.json"
END = "gatepost-end.json"
INDEX = "index.tsv"
TOP = "Maildir"
INDEX_FIELDS = (
    "path",
    "sha256",
    "uid",
    "flags",
    "keywords",
    "internaldate",
    "savedate",
    "octets",
    "octets_on_the_wire",
    "recipient",
)
MAX_FACTS = 1_048_576  # octets of the first and the last member
MAX_MARKER = 1 << 30
PIECE = 262_144
_FILE = re.compile(r"[^/\0\n\t.][^/\0\n\t]{0,254}\Z")


class ArchiveProblem(ValueError):
    """The file is no export, or not one that this version reads, or damaged."""


def file_name(message: MessageRow) -> str:
    """The name of a message in an archive: its own, with the UID and the letters of its flags now."""
    name = message.name
    if number_in(name, "U") != message.uid:
        email = email_id_in(name)
        name = f"{message.ukey},S={message.size},W={message.crlf},U={message.uid}{',E=' + email if email else ''}"
    passed = "P" if "$forwarded" in message.keywords.lower().split() else ""
    return f"{name}:2,{''.join(sorted(message.flags + passed))}"


def index_line(path: str, digest: str, message: MessageRow) -> str:
    """The line of a message in index.tsv, with its end."""
    fields = (
        path,
        digest,
        message.uid,
        message.flags,
        message.keywords,
        f"{message.internaldate:.6f}",
        f"{message.savedate:.6f}",
        message.size,
        message.crlf,
        message.recipient.replace("\t", " ").replace("\n", " "),
    )
    return "\t".join(map(str, fields)) + "\n"


def member(path: str, size: int, mtime: float) -> tarfile.TarInfo:
    """The header of a file in the archive."""
    made = tarfile.TarInfo(path)
    made.size, made.mtime, made.mode = size, mtime, 0o600
    return made


def place_of(path: str) -> tuple[str, str, str]:
    """(folder in the Maildir, "" for INBOX; place; file) of a member below `TOP`; the place of a marker is "".

    Raises ArchiveProblem for whatever an export does not hold.
    """
    top, *levels = path.split("/")
    folder = levels.pop(0) if len(levels) > 1 and levels[0].startswith(".") else ""
    place = levels.pop(0) if len(levels) > 1 else ""
    file = levels.pop(0) if len(levels) == 1 else ""
    is_known = (
        (place == "cur" and bool(_FILE.match(file)) and len(os.fsencode(file)) < 256)
        or (not place and file == markers.MAILBOX)
        or (not place and not folder and file in (markers.SUBSCRIPTIONS, uidls.FILE))
    )
    if top != TOP or not is_known or (folder and name_of(folder) in (None, INBOX)):
        raise ArchiveProblem(f"{path!r} is nothing that an export holds")
    if place and number_in(split_file(file)[0], "U") is None:
        raise ArchiveProblem(f"{path!r} tells no UID")
    return folder, place, file


def facts_of(tar: tarfile.TarFile, found: tarfile.TarInfo) -> dict[str, Any]:
    """The facts in a member. Raises ArchiveProblem."""
    file = tar.extractfile(found) if found.isreg() and found.size <= MAX_FACTS else None
    try:
        facts = msgspec.json.decode(file.read() if file is not None else b"", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ArchiveProblem(f"{found.name}: {error}") from None
    return facts


def forget(tar: tarfile.TarFile) -> None:
    """Let go of the members so far, all of which it remembers else."""
    tar.members = []  # type: ignore[attr-defined]
