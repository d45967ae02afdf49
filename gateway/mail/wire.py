"""Addresses as they are sent."""

from __future__ import annotations

from directory.model import InvalidAddress, canonical_address


def wire_address(address: str) -> str:
    """An address with its domain as A-labels, so that SMTPUTF8 is needed only for its local part."""
    try:
        return f"{address.rpartition('@')[0]}@{canonical_address(address).domain}"
    except InvalidAddress:
        return address
