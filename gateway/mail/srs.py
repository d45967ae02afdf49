"""Return paths of forwarded mail (Sender Rewriting Scheme): this host's domain, so that SPF passes at the next one.

    bob@far.example          SRS0=<hash>=<day>=far.example=bob@ours
    SRS0=<rest>@far.example  SRS1=<hash>=far.example==<rest>@ours     what another host had rewritten
    SRS1=<hash>=<x>=<rest>   SRS1=<own hash>=<x>=<rest>@ours

The hash is over lower case, because some hosts change it, and keyed: nobody else can make an address that leads
outside. An address that would not fit into 64 octets stays as it is: some hosts would refuse it (RFC 5321 4.5.3.1.1).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence

from directory.model import InvalidAddress, canonical_domain
from directory.model.address import MAX_LOCAL_OCTETS

DAY = 86400.0
HASH = 6  # characters of base 32: 30 bits, tried over the network only
_DAYS = 1024  # two characters of base 32
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_SRS0 = re.compile(r"SRS0[=+-]([A-Z2-7]{6})=([A-Z2-7]{2})=([^=@]+)=(.+)\Z", re.IGNORECASE)
_SRS1 = re.compile(r"SRS1[=+-]([A-Z2-7]{6})=([^=@]+)=([=+-].+)\Z", re.IGNORECASE)
_FOREIGN0 = re.compile(r"SRS0([=+-].+)\Z", re.IGNORECASE)
_FOREIGN1 = re.compile(r"SRS1[=+-][^=]*=([^=@]+)=([=+-].+)\Z", re.IGNORECASE)

#: keys at a moment, the one that signs first; none = nothing was ever signed. Raises Deferred
Keys = Callable[[float], Sequence[bytes]]


def _hash(key: bytes, *parts: str) -> str:
    text = "=".join(parts).lower().encode()
    return base64.b32encode(hmac.digest(key, text, hashlib.sha256))[:HASH].decode().lower()


def _split(local: str) -> tuple[str, str]:
    """(quote or "", text) of a local part as it is written."""
    quoted = len(local) > 2 and local.startswith('"') and local.endswith('"')
    return ('"', local[1:-1]) if quoted else ("", local)


class Srs:
    """Rewrites for `domain`; "" = never, but what was rewritten once still finds its way back."""

    def __init__(self, domain: str, keys: Keys, max_age_days: int) -> None:
        self.domain, self._keys = domain, keys
        self._max_age = min(max_age_days, _DAYS // 2)

    def forward(self, path: str, now: float) -> str:
        """The return path with which a message from `path` is sent on. Raises Deferred."""
        local, at, domain = path.rpartition("@")
        if not self.domain or not at or not local or domain.lower() == self.domain:
            return path
        try:
            domain = canonical_domain(domain)
        except InvalidAddress:
            return path
        quote, text = _split(local)
        key = self._keys(now)[0]
        if match := _FOREIGN1.match(text):
            first, rest = match[1], match[2]
            new = f"SRS1={_hash(key, first, rest)}={first}={rest}"
        elif match := _FOREIGN0.match(text):
            new = f"SRS1={_hash(key, domain, match[1])}={domain}={match[1]}"
        else:
            number = int(now // DAY) % _DAYS
            day = _BASE32[number // 32] + _BASE32[number % 32]
            new = f"SRS0={_hash(key, day, domain, text)}={day}={domain}={text}"
        local = f"{quote}{new}{quote}"
        return path if len(local.encode()) > MAX_LOCAL_OCTETS else f"{local}@{self.domain}"

    def reverse(self, local: str, now: float) -> str | None:
        """Where a report to a rewritten path belongs; None for anything that was not made with our keys of late.

        `local` is the local part as it was given. Raises Deferred.
        """
        quote, text = _split(local)
        if match := _SRS0.match(text):
            given, day, domain, original = match[1], match[2].lower(), match[3], match[4]
            signed = _BASE32.index(day[0]) * 32 + _BASE32.index(day[1])
            age = (int(now // DAY) - signed) % _DAYS
            if age > self._max_age and age != _DAYS - 1:  # a clock may be a day behind
                return None
            parts: tuple[str, ...] = (day, domain, original)
            found = f"{quote}{original}{quote}@{domain}"
        elif match := _SRS1.match(text):
            given, domain, original = match[1], match[2], match[3]
            parts, found = (domain, original), f"{quote}SRS0{original}{quote}@{domain}"
        else:
            return None
        if any(hmac.compare_digest(_hash(key, *parts), given.lower()) for key in self._keys(now)):
            return found
        return None
