"""What people type to search, as keys of IMAP's SEARCH (RFC 9051 6.4.4): plain words are looked for everywhere, `from:`, `to:`,
`cc:`, `subject:`, `has:attachment`, `is:unread`, `label:`, `before:`, `after:`, `on:`, `larger:`, `smaller:`, `older:`, `newer:` where they say;
a minus in front means "not", quotation marks keep words together. What follows no rule is a plain word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date

from webadmin.mail.labels import keyword_of
from webadmin.mail.store import quoted

MAX_QUERY = 500  # characters
MAX_TERMS = 30
_TERM = re.compile(r'(-)?(?:([A-Za-z]+):)?(?:"([^"]*)"?|(\S+))')
_DATE = re.compile(r"(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?\Z")
_SIZE = re.compile(r"(\d{1,9})([kKmMgG]?)[bB]?\Z")
_AGE = re.compile(r"(\d{1,4})([dwmyDWMY])\Z")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
_STATES = {
    "unread": b"UNSEEN", "new": b"UNSEEN", "read": b"SEEN", "flagged": b"FLAGGED", "starred": b"FLAGGED", "unflagged": b"UNFLAGGED",
    "answered": b"ANSWERED", "unanswered": b"UNANSWERED", "draft": b"DRAFT",
}  # fmt: skip
_FIELDS = {"from": b"FROM", "to": b"TO", "cc": b"CC", "bcc": b"BCC", "subject": b"SUBJECT", "body": b"BODY", "text": b"TEXT"}  # fmt: skip


def string(text: str) -> bytes:
    """A text that is looked for; what is not ASCII is sent as a literal, which the connection sees to."""
    return quoted(text.encode()) if text.isascii() else text.encode()


def _day(text: str) -> bytes | None:
    match = _DATE.match(text)
    if match is None:
        return None
    try:
        day = date(int(match[1]), int(match[2] or 1), int(match[3] or 1))
    except ValueError:
        return None
    return f"{day.day}-{_MONTHS[day.month - 1]}-{day.year:04d}".encode()


def _dated(key: bytes) -> Callable[[str], list[bytes] | None]:
    def read(text: str) -> list[bytes] | None:
        day = _day(text)
        return None if day is None else [key, day]

    return read


def _sized(key: bytes) -> Callable[[str], list[bytes] | None]:
    def read(text: str) -> list[bytes] | None:
        match = _SIZE.match(text)
        return None if match is None else [key, b"%d" % min(int(match[1]) * _UNITS[match[2].lower()], (1 << 32) - 1)]

    return read


def _aged(key: bytes) -> Callable[[str], list[bytes] | None]:
    def read(text: str) -> list[bytes] | None:
        match = _AGE.match(text)
        days = int(match[1]) * _DAYS[match[2].lower()] if match else 0
        return [key, b"%d" % min(days * 86_400, (1 << 32) - 1)] if days else None

    return read


def _has(text: str) -> list[bytes] | None:
    if text.lower() in ("attachment", "attachments", "file", "files"):
        return [b"HEADER", b"CONTENT-TYPE", b'"multipart/mixed"']
    return None


def _is(text: str) -> list[bytes] | None:
    found = _STATES.get(text.lower())
    return None if found is None else [found]


def _label(text: str) -> list[bytes] | None:
    found = keyword_of(text)
    return None if found is None else [b"KEYWORD", found]


_OPERATORS: dict[str, Callable[[str], list[bytes] | None]] = {
    "has": _has, "is": _is, "label": _label, "tag": _label, "before": _dated(b"BEFORE"), "after": _dated(b"SINCE"),
    "since": _dated(b"SINCE"), "on": _dated(b"ON"), "larger": _sized(b"LARGER"), "smaller": _sized(b"SMALLER"),
    "older": _aged(b"OLDER"), "newer": _aged(b"YOUNGER"),
}  # fmt: skip


def _terms(text: str) -> Iterator[list[bytes]]:
    clean = "".join(each if each.isprintable() else " " for each in text[:MAX_QUERY])
    for number, match in enumerate(_TERM.finditer(clean)):
        if number >= MAX_TERMS:
            return
        name, value = (match[2] or "").lower(), match[3] if match[3] is not None else match[4]
        found: list[bytes] | None = None
        if name in _FIELDS and value:
            found = [_FIELDS[name], string(value)]
        elif name in _OPERATORS:
            found = _OPERATORS[name](value)
        if found is None:
            word = f"{match[2]}:{value}" if match[2] else value
            if not word:
                continue
            found = [b"TEXT", string(word)]
        yield [b"NOT", *found] if match[1] else found


def keys_of(text: str) -> list[bytes]:
    """The keys of a search; ALL for an empty one."""
    return [each for term in _terms(text) for each in term] or [b"ALL"]
