"""Addresses and subjects as people read them: encoded words and the domain names of other scripts resolved."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import idna

from gateway.mime.encoded import decode_header_text
from webadmin.mail.answers import Value, octets

MAX_SHOWN = 1000  # characters of a name or subject


@dataclass(frozen=True, slots=True)
class Address:
    """One address of a message; `spec` is what mail is sent to, `shown` is that with a readable domain."""

    name: str
    spec: str
    shown: str

    def __str__(self) -> str:
        return f"{self.name} <{self.shown}>" if self.name else self.shown

    @property
    def short(self) -> str:
        """The name, or the address where there is none."""
        return self.name or self.shown


@functools.lru_cache(maxsize=4096)
def readable_domain(domain: str) -> str:
    """A domain in its own script; as it is where that is not possible."""
    if "xn--" not in domain.lower():
        return domain
    try:
        return idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return domain


def clean(text: str) -> str:
    """Text for one line: no control characters, none that turn the direction of writing round, not too long."""
    if not text.isprintable():
        text = "".join(each if each.isprintable() else " " for each in text)
    return text[:MAX_SHOWN].strip()


@functools.lru_cache(maxsize=4096)
def header_text(raw: bytes) -> str:
    """A field's value for people."""
    return clean(decode_header_text(raw[: 8 * MAX_SHOWN]))


@functools.lru_cache(maxsize=4096)
def _address(name: bytes, local: bytes, host: bytes) -> Address:
    where, at = host.decode("utf-8", "replace"), local.decode("utf-8", "replace")
    spec = f"{at}@{where}" if where else at
    return Address(header_text(name), clean(spec), clean(f"{at}@{readable_domain(where)}" if where else at))


def addresses(value: Value, most: int = 1000) -> list[Address]:
    """The addresses of one field of an envelope, without the marks of groups."""
    rows: list[Any] = value if isinstance(value, list) else []
    return [
        _address(octets(row[0]), octets(row[2]), octets(row[3]))
        for row in rows[:most]
        if isinstance(row, list) and len(row) == 4 and row[3] is not None
    ]
