"""Types of settings with a unit, and how a person writes them: sizes as `50M`, times as `30s`, `5m`, `24h`, `7d`.

A settings class uses `Size` and `Seconds` for its fields; the code sees octets and seconds.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

SIZE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
TIME_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZE_ALLOWED = "a size in octets, as in 1000, 64K, 50M, 2G, 1T"
TIME_ALLOWED = "a time in seconds or with a unit, as in 90, 30s, 5m, 24h, 7d"
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s?([KMGTkmgt]?)(?:i?[Bb])?\Z")
_TIME = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s?(ms|s|m|h|d|)\Z")

#: octets
Size = Annotated[int, msgspec.Meta(ge=0, extra={"unit": "size"})]
#: seconds
Seconds = Annotated[float, msgspec.Meta(ge=0, extra={"unit": "seconds"})]
#: seconds without fractions
WholeSeconds = Annotated[int, msgspec.Meta(ge=0, extra={"unit": "seconds"})]
#: how many, at least one
Count = Annotated[int, msgspec.Meta(ge=1)]
#: a TCP port
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


def read_size(text: str) -> int:
    """Octets. Raises ValueError."""
    found = _SIZE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not {SIZE_ALLOWED}")
    return int(float(found[1]) * SIZE_UNITS[found[2].upper()])


def read_seconds(text: str) -> float:
    """Seconds. Raises ValueError."""
    found = _TIME.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not {TIME_ALLOWED}")
    return float(found[1]) * TIME_UNITS[found[2]]


def write_size(octets: int) -> str:
    """The shortest form that `read_size` takes back exactly."""
    for unit in ("T", "G", "M", "K"):
        if octets and octets % SIZE_UNITS[unit] == 0:
            return f"{octets // SIZE_UNITS[unit]}{unit}"
    return str(octets)


def write_seconds(seconds: float) -> str:
    """The shortest form that `read_seconds` takes back exactly."""
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % TIME_UNITS[unit] == 0:
            return f"{int(seconds // TIME_UNITS[unit])}{unit}"
    return f"{seconds * 1000:g}ms" if seconds else "0s"
