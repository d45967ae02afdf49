"""Expunged messages that are kept for some days, beside the Maildir's folders.

`gatepost-expunged/<folder of the mailbox, INBOX for that>/<time>~<unique part of the name>:2,<letters>` is a message
that was expunged at that time (unix). No other program takes that for a mailbox, and it counts for no quota. Raises
OSError.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.store.layout import folder_of, name_of, unique_part
from gateway.store.repository import INBOX

FOLDER = "gatepost-expunged"
MAX_LISTED = 100_000
_NAME = re.compile(r"(\d{1,12})~(.+)\Z")
_LETTERS = frozenset("FRS")  # \Deleted, which all of them had, would make the next expunge take it again


@dataclass(frozen=True, slots=True)
class Kept:
    """An expunged message. `id` names it among those of its account, `flags` are letters of FRS."""

    id: str
    mailbox: str
    expunged_at: int
    flags: str
    size: int
    path: Path


def keep(maildir: str, mailbox: str, path: str, flags: str) -> None:
    """Take a message's file away from its mailbox and keep it. Raises FileNotFoundError where there is no file."""
    folder = os.path.join(maildir, FOLDER, folder_of(mailbox).removeprefix(".") or INBOX)
    os.makedirs(folder, 0o700, exist_ok=True)
    letters = "".join(sorted(_LETTERS.intersection(flags)))
    os.rename(path, os.path.join(folder, f"{int(time.time())}~{unique_part(os.path.basename(path))}:2,{letters}"))


def kept(maildir: str) -> Iterator[Kept]:
    """What is kept, in any order, at most `MAX_LISTED`."""
    number = 0
    for folder, file, found in _files(maildir):
        name, _, info = found[2].partition(":")
        mailbox = INBOX if folder == INBOX else name_of(f".{folder}") or INBOX
        try:
            size = os.stat(file).st_size
        except FileNotFoundError:
            continue
        yield Kept(name, mailbox, int(found[1]), "".join(_LETTERS.intersection(info)), size, Path(file))
        number += 1
        if number == MAX_LISTED:
            return


def _files(maildir: str) -> Iterator[tuple[str, str, re.Match[str]]]:
    """(folder, path, parts of the name) of each file."""
    top = os.path.join(maildir, FOLDER)
    try:
        folders = os.listdir(top)
    except FileNotFoundError:
        return
    for folder in folders:
        try:
            names = os.listdir(os.path.join(top, folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            if found := _NAME.match(name):
                yield folder, os.path.join(top, folder, name), found


def purge(maildir: str, before: float) -> int:
    """Remove for good what was expunged earlier: how many."""
    removed = 0
    folders: set[str] = set()
    for _, path, found in _files(maildir):
        if int(found[1]) < before:
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue
            folders.add(os.path.dirname(path))
            removed += 1
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            continue  # there are others in it
    return removed
