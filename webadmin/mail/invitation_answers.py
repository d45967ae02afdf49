"""Answers to invitations by mail: a REPLY (RFC 5546 3.2.3) as iMIP carries it (RFC 6047).

An invitation is answerable when it is a REQUEST with an organizer and invites an address that the reader may write as.
The answer names that one attendee, the events by UID, SEQUENCE and RECURRENCE-ID as they came, and nothing else of them
but the summary.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import icalendar

from webadmin.mail.addresses import clean
from webadmin.mail.recipients import AddressMistake, Person, person

MAX_EVENTS = 100  # of one invitation: a series with its exceptions
PRODUCT = "-//Gatepost//Webmail//EN"
#: what somebody may answer -> PARTSTAT (RFC 5545 3.2.12), and the keyword that the message keeps
ANSWERS = {"accept": "ACCEPTED", "tentative": "TENTATIVE", "decline": "DECLINED"}
KEYWORDS = {"accept": "$Accepted", "tentative": "$Tentative", "decline": "$Declined"}
#: of an event, what its answer repeats
_REPEATED = ("UID", "SEQUENCE", "RECURRENCE-ID", "SUMMARY")


@dataclass(frozen=True, slots=True)
class Invitation:
    """What can be answered; `attendee` is the reader's own address, as it was invited."""

    organizer: Person
    attendee: str
    summary: str
    events: tuple[Any, ...]
    timezones: tuple[Any, ...]


def invitation(calendar: str, own: Collection[str]) -> Invitation | None:
    """The invitation in a calendar, to one of the addresses `own` (lower case); None where there is none to answer."""
    try:
        found = icalendar.Calendar.from_ical(calendar)
        if str(found.get("METHOD", "")).upper() != "REQUEST":
            return None
        events = list(found.walk("VEVENT"))[:MAX_EVENTS]
        first = events[0]
        organizer = _address(first.get("ORGANIZER"))
        attendee = next((address for each in events for address in _attendees(each) if address.lower() in own), "")
        uid = str(first.get("UID", ""))
        if not organizer or not attendee or not uid or organizer.lower() in own:
            return None
        name = clean(str(getattr(first["ORGANIZER"], "params", {}).get("CN", "")))
        invited = tuple(each for each in events if str(each.get("UID", "")) == uid and attendee in _attendees(each))
        zones = tuple(found.walk("VTIMEZONE")) if any("RECURRENCE-ID" in each for each in invited) else ()
        return Invitation(person(name, organizer), attendee, clean(str(first.get("SUMMARY", ""))), invited, zones)
    except AddressMistake:
        return None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
        return None  # the library has no error of its own for what is no calendar


def reply(found: Invitation, answer: str, name: str, now: float) -> bytes:
    """The calendar that says so. Raises KeyError for an answer that is none."""
    made = icalendar.Calendar()
    made.add("PRODID", PRODUCT)
    made.add("VERSION", "2.0")
    made.add("METHOD", "REPLY")
    for zone in found.timezones:
        made.add_component(zone)
    for event in found.events:
        each = icalendar.Event()
        for field in _REPEATED:
            if field in event:
                each[field] = event[field]
        each.add("DTSTAMP", datetime.fromtimestamp(int(now), UTC))
        each["ORGANIZER"] = event.get("ORGANIZER") or icalendar.vCalAddress(f"mailto:{found.organizer.address}")
        attendee = icalendar.vCalAddress(f"mailto:{found.attendee}")
        attendee.params["PARTSTAT"] = ANSWERS[answer]
        if name:
            attendee.params["CN"] = name.replace('"', "'")
        each["ATTENDEE"] = attendee
        made.add_component(each)
    octets: bytes = made.to_ical()
    return octets


def _address(value: Any) -> str:
    text = clean(str(value or ""))
    return text[7:].strip() if text.lower().startswith("mailto:") else ""


def _attendees(event: Any) -> list[str]:
    value = event.get("ATTENDEE")
    return [_address(each) for each in (value if isinstance(value, list) else [] if value is None else [value])]
