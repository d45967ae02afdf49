"""The mark in the names of all entries that `gatepost selftest` makes and takes away again.

They come and go on a live system, so nobody else's mail may come to rest on them and their going is no loss.
"""

from __future__ import annotations

SELFTEST = "gatepost-selftest-"


def is_selftest(name: str) -> bool:
    """True for the name of such an entry or domain, in any case of letters."""
    return SELFTEST in name.lower()
