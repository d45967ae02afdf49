"""Dates of messages, and how a list shows them: the time today, the day this year, else the date."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from flask_babel import format_date, format_datetime, get_locale

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@functools.lru_cache(maxsize=1024)
def from_internal(text: bytes) -> datetime:
    """INTERNALDATE; the beginning of time for what is none."""
    try:
        return datetime.strptime(text.decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z")
    except ValueError:
        return _EPOCH


@functools.lru_cache(maxsize=1024)
def from_sent(text: bytes) -> datetime | None:
    """The Date field; None for what is none."""
    try:
        found = parsedate_to_datetime(text.decode("ascii", "replace")[:200])
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def short(when: datetime, now: datetime) -> str:
    """As the list shows it."""
    if when.date() == now.date():
        return when.strftime("%H:%M")
    key = str(get_locale() or "en")
    return _day(when.date().toordinal(), when.year == now.year, key)


@functools.lru_cache(maxsize=4096)
def _day(ordinal: int, this_year: bool, _language: str) -> str:
    day = datetime.fromordinal(ordinal)
    return str(format_date(day, _pattern(_language) if this_year else "short"))


def _pattern(language: str) -> str:
    return "M月d日" if language.startswith("zh") else "d MMM"


def _in_chinese() -> bool:
    return str(get_locale() or "en").startswith("zh")


def long(when: datetime) -> str:
    """Day and time in full."""
    return str(format_datetime(when, "y年M月d日 EEEE HH:mm" if _in_chinese() else "EEEE, d MMMM y, HH:mm"))
