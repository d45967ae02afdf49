"""Invitations in messages (RFC 5545, RFC 5546): what of an event people want to know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import icalendar
from flask_babel import format_date, format_datetime, get_locale, gettext, to_user_timezone

from webadmin.mail.addresses import clean

MAX_CALENDAR = 256 << 10  # octets
MAX_EVENTS = 10
MAX_PEOPLE = 50
MAX_TEXT = 2000  # characters


@dataclass(frozen=True, slots=True)
class Event:
    """One event, in words."""

    heading: str
    summary: str
    when: str
    repeats: bool
    place: str
    organizer: str
    attendees: list[str]
    text: str


def events(calendar: str) -> list[Event]:
    """The events of a calendar; none for what is no calendar."""
    try:
        found = icalendar.Calendar.from_ical(calendar)
        method = str(found.get("METHOD", "")).upper()
        return [_event(each, method) for each in list(found.walk("VEVENT"))[:MAX_EVENTS]]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
        return []  # the library has no error of its own for what is no calendar


def _event(event: Any, method: str) -> Event:
    cancelled = method == "CANCEL" or str(event.get("STATUS", "")).upper() == "CANCELLED"
    headings = {"REQUEST": gettext("Invitation"), "REPLY": gettext("Answer to an invitation")}
    return Event(
        gettext("Cancelled") if cancelled else headings.get(method, gettext("Event")),
        clean(str(event.get("SUMMARY", ""))),
        _when(event),
        "RRULE" in event,
        clean(str(event.get("LOCATION", ""))),
        _person(event.get("ORGANIZER")),
        [_attendee(each) for each in _all(event.get("ATTENDEE"))][:MAX_PEOPLE],
        str(event.get("DESCRIPTION", ""))[:MAX_TEXT].strip(),
    )


def _all(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _person(value: Any) -> str:
    if value is None:
        return ""
    address = clean(str(value))
    address = address[7:] if address.lower().startswith("mailto:") else address
    name = clean(str(getattr(value, "params", {}).get("CN", "")))
    return f"{name} <{address}>" if name and name != address else address


def _attendee(value: Any) -> str:
    answers = {
        "ACCEPTED": gettext("comes"), "DECLINED": gettext("does not come"), "TENTATIVE": gettext("comes perhaps"),
    }  # fmt: skip
    answer = answers.get(str(getattr(value, "params", {}).get("PARTSTAT", "")).upper())
    return f"{_person(value)} ({answer})" if answer else _person(value)


def _when(event: Any) -> str:
    start, end = _moment(event.get("DTSTART")), _moment(event.get("DTEND"))
    if start is None:
        return ""
    if isinstance(start, datetime):
        shown = _stamp(start)
        if isinstance(end, datetime):
            is_one_day = to_user_timezone(start).date() == to_user_timezone(end).date()
            return f"{shown} – {format_datetime(end, 'HH:mm') if is_one_day else _stamp(end)}"
        return shown
    last = date.fromordinal(end.toordinal() - 1) if end is not None and end > start else start
    return _day(start) if last == start else f"{_day(start)} – {_day(last)}"


def _moment(value: Any) -> Any:
    found = getattr(value, "dt", None)
    if isinstance(found, datetime):
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return found if isinstance(found, date) else None


def _stamp(when: datetime) -> str:
    in_chinese = str(get_locale() or "en").startswith("zh")
    return str(format_datetime(when, "y年M月d日 EEE HH:mm" if in_chinese else "EEE, d MMM y, HH:mm"))


def _day(day: date) -> str:
    return str(format_date(day, "long"))
