"""What Dovecot notes beside a Maildir++ store.

`dovecot-uidlist`, version 3: the header `3 V<uidvalidity> N<next uid> G<mailbox guid>`, then a line a message,
`<uid> [S<size> ][W<crlf size> ][P<POP3 unique-id> ][O<POP3 order> ][G<guid> ]:<file name up to the flags>`, appended as
mail comes in; of two lines for one file the last one counts, and files that are named may be gone. Version 1 has
`1 <uidvalidity> <next uid>` and `<uid> <file name>`. `dovecot-keywords`: `<number> <keyword>`, number 0 is the letter
`a` in file names. `subscriptions`: `V<tab>2`, an empty line, then a name a line, levels separated by tabs; without that
head it is version 1, names as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from gateway.store.foreign.records import MAX_UID, Records, Unreadable, keyword, number, unique_id
from gateway.store.layout import SEPARATOR, decode_level

UIDLIST = "dovecot-uidlist"
KEYWORDS = "dovecot-keywords"
SUBSCRIPTIONS = "subscriptions"
UIDVALIDITY = "dovecot-uidvalidity"
MAX_KEYWORDS = 26  # letters; further keywords are in Dovecot's index only
DEFAULT_UIDL = "%08Xu%08Xv"
_VARIABLE = re.compile(r"%(0?)(\d{0,2})(X?)([uvfg%])")


class Line(NamedTuple):
    """A line of a uidlist: UID, the fields by their letter, file name up to the flags."""

    uid: int
    fields: dict[str, str]
    base: str


def _text(path: str) -> str | None:
    try:
        return Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def read_uidlist(path: str) -> tuple[dict[str, str], list[Line]] | None:
    """The header's fields by their letter, and the lines; None without a file. Raises Unreadable, OSError."""
    text = _text(path)
    if not text:
        return None
    head, *lines = text.split("\n")
    version, *words = head.split(" ")
    if version == "1" and len(words) >= 2:
        header = {"V": words[0], "N": words[1]}
    elif version == "3":
        header = {word[0]: word[1:] for word in words if word}
    else:
        raise Unreadable(f"{path}: its first line is {head[:60]!r}, versions 1 and 3 can be read")
    if not number(header.get("V", "")):
        raise Unreadable(f"{path}: its first line has no UIDVALIDITY")
    found = []
    for line in lines:
        facts, colon, base = line.partition(" :") if version == "3" else line.partition(" ")
        uid, *fields = facts.split(" ")
        if colon and number(uid) and base and "/" not in base:
            found.append(Line(number(uid), {word[0]: word[1:] for word in fields if word}, base.partition(":")[0]))
    return header, found


def read_records(control: str, uidl: str = DEFAULT_UIDL) -> Records:
    """What stands in the control folder of a mailbox. `uidl` is Dovecot's setting pop3_uidl_format.

    Raises Unreadable, OSError.
    """
    records = Records()
    for line in (_text(os.path.join(control, KEYWORDS)) or "").split("\n"):
        index, _, name = line.partition(" ")
        if index.isdecimal() and len(index) < 3 and int(index) < MAX_KEYWORDS and keyword(name):
            records.letters[chr(ord("a") + int(index))] = name
    read = read_uidlist(os.path.join(control, UIDLIST))
    if read is None:
        return records
    header, lines = read
    records.uidvalidity = number(header["V"])
    for uid, fields, base in lines:
        records.uids[base] = uid
        told = fields.get("P") or (unique_id_of(uidl, records.uidvalidity, uid, fields, base))
        records.uidls.pop(base, None)
        if unique_id(told):
            records.uidls[base] = told
    records.uidnext = min(max(number(header.get("N", "")), *(line.uid + 1 for line in lines), 1), MAX_UID)
    return records


def unique_id_of(form: str, uidvalidity: int, uid: int, fields: Mapping[str, str], base: str) -> str:
    """The unique-id that Dovecot makes by `pop3_uidl_format`, of %u %v %f %g. Its X means hexadecimal in small letters.

    Raises Unreadable for other variables.
    """
    if "%" in _VARIABLE.sub("", form):
        raise Unreadable(f"pop3_uidl_format {form!r}: %u, %v (as %08Xu), %f and %g can be kept, other variables cannot")

    def value(match: re.Match[str]) -> str:
        zero, width, is_hex, name = match.groups()
        if name == "%":
            return "%"
        if name in "fg":
            return fields.get("G", base) if name == "g" else base
        count = uid if name == "u" else uidvalidity
        text = f"{count:x}" if is_hex else str(count)
        return text.rjust(int(width or 0), "0" if zero else " ")

    return _VARIABLE.sub(value, form)


def read_subscriptions(control: str, separator: str = ".") -> list[str] | None:
    """Names subscribed to, as mailboxes are called here; None without a file. Raises OSError."""
    text = _text(os.path.join(control, SUBSCRIPTIONS))
    if text is None:
        return None
    lines = text.split("\n")
    if lines[0] == "V\t2":
        names = [line.split("\t") for line in lines[2:] if line]
    else:
        names = [line.split(separator) for line in lines if line]
    return [SEPARATOR.join(map(_level, name)) for name in names]


def _level(text: str) -> str:
    try:
        return decode_level(text)
    except ValueError:
        return text


def uidlist(header: Mapping[str, str], lines: Iterable[Line]) -> bytes:
    """A uidlist of version 3."""
    rows = ["3 " + " ".join(letter + value for letter, value in header.items())]
    for uid, fields, base in lines:
        rows.append(" ".join([str(uid), *(letter + value for letter, value in fields.items()), f":{base}"]))
    return ("\n".join(rows) + "\n").encode("utf-8", "surrogateescape")


def keywords(letters: Mapping[str, str]) -> bytes:
    """A file of keywords, of letters by keyword."""
    rows = sorted((ord(letter) - ord("a"), name) for name, letter in letters.items())
    return "".join(f"{number} {name}\n" for number, name in rows).encode()


def subscriptions(names: Iterable[str]) -> bytes:
    """A subscriptions file of version 2, of names whose levels are called as their folders."""
    return "\n".join(["V\t2", "", *("\t".join(name.split(SEPARATOR)) for name in names), ""]).encode()
