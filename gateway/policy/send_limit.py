"""Sending limits COUNT/PERIOD, such as `200/h` or `1000/d`: recipients in a sliding window."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LIMIT = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{0,4})\s*(s|m|h|d|w)[a-z]*\s*\Z", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class SendLimit:
    """At most `count` recipients in any `seconds`."""

    count: int
    seconds: int


def parse(text: str) -> SendLimit | None:
    """The limit that `text` names, None when it names none."""
    match = _LIMIT.match(text)
    if match is None:
        return None
    return SendLimit(int(match[1]), int(match[2] or 1) * _SECONDS[match[3].lower()])


def limits(texts: tuple[str, ...]) -> tuple[SendLimit, ...]:
    """All limits named; a value that cannot be read limits nothing (`gatepost check` names it)."""
    return tuple(limit for text in texts if (limit := parse(text)) is not None)
