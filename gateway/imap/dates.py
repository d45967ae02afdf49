"""Dates in commands and answers (RFC 3501 9)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

MONTHS = (b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC")
_DATE_TIME = re.compile(rb"([ \d]\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def date_time(seconds: float) -> bytes:
    """A date-time in UTC with its quotes."""
    date = datetime.fromtimestamp(int(seconds), UTC)
    return b'"%2d-%b-%04d %02d:%02d:%02d +0000"' % (
        date.day, MONTHS[date.month - 1].capitalize(), date.year, date.hour, date.minute, date.second,
    )  # fmt: skip


def read_date_time(text: bytes) -> float | None:
    """A date-time, without its quotes, as seconds since 1970. None when it is none, or before 1970."""
    match = _DATE_TIME.fullmatch(text)
    if match is None or match[2].upper() not in MONTHS or int(match[9]) > 59:
        return None
    zone = timedelta(hours=int(match[8]), minutes=int(match[9]))
    year, day, hour, minute, second = (int(part) for part in match.group(3, 1, 4, 5, 6))
    try:
        date = datetime(
            year,
            MONTHS.index(match[2].upper()) + 1,
            day,
            hour,
            minute,
            second,
            tzinfo=timezone(-zone if match[7] == b"-" else zone),
        )
    except ValueError:
        return None
    return max(0.0, (date - _FIRST).total_seconds())
