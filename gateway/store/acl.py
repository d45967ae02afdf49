"""Who may do what with a mailbox, as it is kept: identifiers and rights of RFC 4314, one JSON object. Pure.

`{"<entry id>": "lrs", "anyone": "l"}`. Identifiers are entry ids of the directory, which outlive renames and
are never used again, or `anyone`. What cannot be read gives nobody a right.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import msgspec

ANYONE = "anyone"
MAX_ENTRIES = 100  # the line of `.gatepost-mailbox` that holds them is written again with each change
MAX_OCTETS = 65_536
_NOBODY: Mapping[str, str] = MappingProxyType({})


@lru_cache(4096)
def read_acl(text: str) -> Mapping[str, str]:
    """{identifier: rights}."""
    if not text or len(text) > MAX_OCTETS:
        return _NOBODY
    try:
        return MappingProxyType(msgspec.json.decode(text, type=dict[str, str]))
    except msgspec.DecodeError:
        return _NOBODY


def write_acl(entries: Mapping[str, str]) -> str:
    """The text of these entries; those without rights are left out."""
    kept = {identifier: entries[identifier] for identifier in sorted(entries) if entries[identifier]}
    return msgspec.json.encode(kept).decode() if kept else ""
