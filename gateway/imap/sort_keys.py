"""What SORT and THREAD read of each message, and how messages are compared (RFC 5256 2.2, 3; RFC 5957)."""

from __future__ import annotations

import calendar
import email.utils
import re
import unicodedata
from collections.abc import Callable
from typing import TypeAlias

from gateway.imap.base_subject import base_subject
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.search_subject import MONTHS, Subject, days, is_day
from gateway.imap.view import Message
from gateway.mime.encoded import decode_header_text
from gateway.mime.envelope_fields import CC, DATE, FROM, SUBJECT, TO

#: a value to compare; the content is None for keys that need none
Key: TypeAlias = Callable[[Message, "Subject | None"], "float | str"]
MAX_KEYS = 16
MAX_LENGTH = 1000  # characters of a text that count
_USUAL_DATE = re.compile(
    rb"(?:[A-Za-z]{3}, )?(\d{1,2}) ([A-Za-z]{3}) (\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)(?: \([A-Z]+\))?\Z"
)


def collated(text: str) -> str:
    """`text` as it is put in order (RFC 5051, i;unicode-casemap)."""
    text = text[:MAX_LENGTH].upper()
    return text if text.isascii() else unicodedata.normalize("NFKD", text)


def _usual_date(text: bytes) -> float | None:
    """A date-time as nearly all programs write it, unix time; None for every other one."""
    match = _USUAL_DATE.match(text)
    if match is None or (month := MONTHS.get(match[2].lower())) is None:
        return None
    day, year, hour, minute, second = map(int, match.group(1, 3, 4, 5, 6))
    if not (is_day(year, month, day) and year >= 1900 and hour < 24 and minute < 60 and second < 60):
        return None
    zone = int(match[8]) * 3600 + int(match[9]) * 60
    at = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    return float(at + zone if match[7] == b"-" else at - zone)


def sent_at(message: Message, subject: Subject) -> float:
    """When it was sent, unix time; when it came where its Date field does not say (RFC 5256 2.2)."""
    octets = subject.field(DATE)
    usual = _usual_date(octets)
    if usual is not None:
        return usual
    text = octets.decode("latin-1").strip()
    try:
        found = email.utils.parsedate_tz(text)
        if found is not None and found[0] >= 1900 and is_day(*found[:3]):
            return float(calendar.timegm(found[:9]) - (found[9] or 0))
    except (ValueError, OverflowError, TypeError, IndexError):
        pass
    return message.internaldate


def _address(field: int) -> Key:
    def key(_: Message, subject: Subject | None) -> str:
        assert subject is not None
        first = subject.first_address(field)
        return collated(decode_header_text(first.local)) if first is not None else ""

    return key


def _display(field: int) -> Key:
    """RFC 5957 3: the name as shown, else the address."""

    def key(_: Message, subject: Subject | None) -> str:
        assert subject is not None
        first = subject.first_address(field)
        if first is None:
            return ""
        if first.name:
            return collated(decode_header_text(first.name))
        return collated(decode_header_text(first.local + (b"@" + first.host if first.host else b"")))

    return key


def _date(message: Message, subject: Subject | None) -> float:
    assert subject is not None
    return sent_at(message, subject)


def _subject(_: Message, subject: Subject | None) -> str:
    assert subject is not None
    return collated(base_subject(decode_header_text(subject.field(SUBJECT)))[0])


_OF_VIEW: dict[bytes, Key] = {
    b"ARRIVAL": lambda message, _: message.internaldate,
    b"SIZE": lambda message, _: message.size,
}
_OF_ENVELOPE: dict[bytes, Key] = {
    b"CC": _address(CC),
    b"DATE": _date,
    b"FROM": _address(FROM),
    b"SUBJECT": _subject,
    b"TO": _address(TO),
    b"DISPLAYFROM": _display(FROM),
    b"DISPLAYTO": _display(TO),
}


def read_keys(arguments: Parser) -> tuple[list[tuple[Key, bool]], bool]:
    """The keys between parentheses, each with whether it is REVERSE; True when envelopes are needed. Raises BadCommand."""
    arguments.expect(b"(")
    keys: list[tuple[Key, bool]] = []
    needs_envelope = False
    while not keys or not arguments.at(b")"):
        if keys:
            arguments.space()
        name = arguments.atom().upper()
        is_reverse = name == b"REVERSE"
        if is_reverse:
            arguments.space()
            name = arguments.atom().upper()
        key = _OF_VIEW.get(name) or _OF_ENVELOPE.get(name)
        if key is None:
            raise BadCommand("unknown sort key")
        needs_envelope = needs_envelope or name in _OF_ENVELOPE
        keys.append((key, is_reverse))
        if len(keys) > MAX_KEYS:
            raise BadCommand("too many sort keys")
    return keys, needs_envelope
