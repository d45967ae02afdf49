"""Sending limits COUNT/PERIOD, such as `200/h` or `1000/d`: recipients in a sliding window; `none` is no limit."""

from __future__ import annotations

import re
from dataclasses import dataclass

NONE = "none"
ALLOWED = f"a limit such as 200/h; the period is s, m, h, d or w, or several as in 50/10m; {NONE} is no limit"
_LIMIT = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{0,4})\s*(s|m|h|d|w)[a-z]*\s*\Z", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, slots=True)
class SendLimit:
    """At most `count` recipients in any `seconds`."""

    count: int
    seconds: int


def parse_limit(text: str) -> SendLimit | None:
    """The limit that `text` names, None for `none`. Raises ValueError."""
    if text.strip().lower() == NONE:
        return None
    match = _LIMIT.match(text)
    if match is None or not match[1].isascii() or (match[2] and int(match[2]) == 0):
        raise ValueError(f"{text!r} is not {ALLOWED}")
    return SendLimit(int(match[1]), int(match[2] or 1) * _SECONDS[match[3].lower()])
