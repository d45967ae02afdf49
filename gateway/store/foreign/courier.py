"""What Courier notes beside a Maildir++ store.

`courierimapuiddb`: `1 <uidvalidity> <next uid>`, then `<uid> <file name up to the flags>`. `courierimapkeywords/:list`:
keywords, a line each, an empty line, then `<file name>:<numbers of its keywords>`; beside it a file for each message
whose keywords changed since, named as that one or `.<time / 300>.<name>`, holding all keywords of the message, a line
each. `courierimapsubscribed`: `INBOX.<folder>`. `courierpop3dsizelist`, in INBOX: `/3 <next> <uidv>` or `/2 ...`, then
`<file name> <size> <n>:<uidv>[:<utf8>]`: the unique-id is `UID<n>-<uidv>`, `UID<n>` for uidv 0, and the file name for n
0; before version 2 `<file name> <n>` without a head.
"""

from __future__ import annotations

import os
from pathlib import Path

from gateway.store.foreign.dovecot import _level
from gateway.store.foreign.records import MAX_UID, Records, Unreadable, keyword, number, unique_id
from gateway.store.layout import SEPARATOR
from gateway.store.repository import INBOX

UIDDB = "courierimapuiddb"
KEYWORDS = "courierimapkeywords"
SUBSCRIBED = "courierimapsubscribed"
POP3 = "courierpop3dsizelist"


def _lines(path: str) -> list[str] | None:
    try:
        return Path(path).read_bytes().decode("utf-8", "surrogateescape").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_records(folder: str) -> Records:
    """What stands in the folder of a mailbox. Raises Unreadable, OSError."""
    records = Records()
    lines = _lines(os.path.join(folder, UIDDB))
    if lines is not None:
        version, *head = lines[0].split(" ")
        if version != "1" or len(head) < 2 or not number(head[0]):
            raise Unreadable(f"{folder}/{UIDDB}: its first line is {lines[0][:60]!r}, version 1 can be read")
        records.uidvalidity = number(head[0])
        for line in lines[1:]:
            uid, _, file = line.partition(" ")
            if number(uid) and file and "/" not in file:
                records.uids[_base(file)] = number(uid)
        records.uidnext = min(max(number(head[1]), *(uid + 1 for uid in records.uids.values()), 1), MAX_UID)
    _read_keywords(os.path.join(folder, KEYWORDS), records)
    _read_pop3(os.path.join(folder, POP3), records)
    return records


def _base(file: str) -> str:
    return file.partition(":")[0]


def _place(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 8 else 1 << 32


def _read_keywords(folder: str, records: Records) -> None:
    lines = _lines(os.path.join(folder, ":list"))
    if lines is None:
        return
    blank = lines.index("") if "" in lines else len(lines)
    names = lines[:blank]
    for line in lines[blank + 1 :]:
        file, _, numbers = line.rpartition(":")
        chosen = [names[place] for each in numbers.split() if (place := _place(each)) < len(names)]
        records.keywords[_base(file)] = " ".join(filter(keyword, chosen))
    updates: dict[str, tuple[float, str]] = {}
    for entry in os.listdir(folder):
        if entry == ":list":
            continue
        age, base = float("inf"), entry  # a file without a time is the newest
        if entry.startswith("."):
            when, _, base = entry[1:].partition(".")
            if not number(when):
                continue
            age = number(when)
        if age >= updates.get(_base(base), (-1.0, ""))[0]:
            updates[_base(base)] = age, entry
    for base, (_, entry) in updates.items():
        records.keywords[base] = " ".join(filter(keyword, _lines(os.path.join(folder, entry)) or []))


def _read_pop3(path: str, records: Records) -> None:
    lines = _lines(path)
    if lines is None:
        return
    is_old = not lines[0].startswith("/")
    for line in lines if is_old else lines[1:]:
        file, *facts = line.split(" ")
        if not facts or not file:
            continue
        n, _, rest = facts[-1].partition(":")
        uidv = "0" if is_old else rest.partition(":")[0]
        told = _base(file) if n == "0" and not is_old else f"UID{n}" if uidv == "0" else f"UID{n}-{uidv}"
        if unique_id(told):
            records.uidls[_base(file)] = told


def read_subscriptions(root: str) -> list[str] | None:
    """Names subscribed to, as mailboxes are called here; None without a file. Raises OSError."""
    lines = _lines(os.path.join(root, SUBSCRIBED))
    if lines is None:
        return None
    found = []
    for line in filter(None, lines):
        levels = line.split(".")
        if len(levels) > 1 and levels[0].upper() == INBOX:
            levels = levels[1:]
        found.append(SEPARATOR.join(map(_level, levels)))
    return found
