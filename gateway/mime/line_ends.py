"""Arithmetic between stored octets (LF line ends) and their CRLF form."""

from __future__ import annotations


def crlf_length(stored: bytes) -> int:
    """Octets of the CRLF form."""
    return len(stored) + stored.count(b"\n")


def after_octets(stored: bytes, octets: int) -> tuple[int, bool]:
    """Where one stands in `stored` after `octets` of its CRLF form: (offset, half). Linear.

    With `half` the CR of the line end at that offset is behind and its LF ahead. `octets` must not be
    more than `crlf_length`.
    """
    at = 0
    while octets:
        # half as many stored octets can never be too far
        step = max(1, octets // 2)
        cost = step + stored.count(b"\n", at, at + step)
        if cost > octets:
            return at, True
        at += step
        octets -= cost
    return at, False
