"""Canonical addresses and domains: the one form under which an address is stored, indexed and compared.

An address is compared without regard to case and with its domain as A-labels (RFC 5891), so that
`Jane@BÜCHER.example` and `jane@xn--bcher-kva.example` are one. A local part is case-folded and NFC
normalised: RFC 5321 2.4 leaves its case to the receiving host, and no directory distinguishes it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

import idna

MAX_ADDRESS_OCTETS = 254  # RFC 5321 4.5.3.1.3 less the angle brackets
MAX_LOCAL_OCTETS = 64  # RFC 5321 4.5.3.1.1
MAX_DOMAIN_OCTETS = 255  # RFC 5321 4.5.3.1.2

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\Z")
_PLAIN_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\Z")
_PLAIN_LOCAL = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}\Z")


class InvalidAddress(ValueError):
    """The text is no address or domain; the message says why, in words for a person."""


class Address(NamedTuple):
    """An address in canonical form; `str()` gives `local@domain`."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


@lru_cache(maxsize=4096)
def canonical_domain(domain: str) -> str:
    """Return `domain` in lower case as A-labels (RFC 5890 2.3.2.1), without a final dot.

    Raises InvalidAddress.
    """
    name = domain.lower().removesuffix(".")
    if _PLAIN_DOMAIN.match(name) and "xn--" not in name:
        if len(name) > MAX_DOMAIN_OCTETS:
            raise InvalidAddress("the domain is longer than 255 octets")
        return name
    if not name:
        raise InvalidAddress("the domain is empty")
    try:
        encoded = idna.encode(name, uts46=True, std3_rules=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidAddress(f"the domain is not valid: {error}") from None
    if len(encoded) > MAX_DOMAIN_OCTETS or not all(_LABEL.match(label) for label in encoded.split(".")):
        raise InvalidAddress("the domain has a label that DNS does not allow")
    return encoded


def domain_of(address: str) -> str:
    """The canonical domain of an address; where it is not valid, what stands there in lower case."""
    domain = address.rpartition("@")[2]
    try:
        return canonical_domain(domain)
    except InvalidAddress:
        return domain.lower()


def split_address(text: str) -> tuple[str, str]:
    """Split at the last `@`. Raises InvalidAddress when a part is missing or too long."""
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise InvalidAddress("an address is written local-part@domain")
    if len(local.encode()) > MAX_LOCAL_OCTETS:
        raise InvalidAddress("the part before the @ is longer than 64 octets")
    return local, domain


@lru_cache(maxsize=16384)
def canonical_address(text: str) -> Address:
    """Return the canonical form of `local@domain`. Raises InvalidAddress."""
    local, domain = split_address(text)
    local = local.lower()
    if not _PLAIN_LOCAL.match(local):
        if local.startswith('"') and local.endswith('"') and len(local) > 2:
            local = re.sub(r"\\(.)", r"\1", local[1:-1])
        local = unicodedata.normalize("NFC", local.casefold())
        if any(unicodedata.category(c) == "Cc" for c in local):
            raise InvalidAddress("the part before the @ holds a control character")
    return Address(local, canonical_domain(domain))
