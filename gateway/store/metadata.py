"""Annotations of a mailbox as they are kept (RFC 5464): a JSON object by whose they are, values in base64. Pure.

`{"": {"/shared/comment": "..."}, "owner": {"/private/comment": "..."}, "<entry id>": {...}}`: shared ones, the owner's
own, those of others who may read the mailbox. Names are in lower case. What cannot be read is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import msgspec

SHARED, OWNER = "", "owner"
MAX_ENTRIES = 64  # of one person, and shared ones
MAX_OCTETS = 65_536  # of the text: it is written anew with each note of the mailbox, and read with its row
MAX_OWN = 16_384  # of these for one person, so that none leaves nothing for the others
_NONE: Mapping[str, Mapping[str, bytes]] = MappingProxyType({})


class TooMuch(Exception):
    """There is no room for another annotation."""


@lru_cache(256)
def read_metadata(text: str) -> Mapping[str, Mapping[str, bytes]]:
    """{whose: {name: value}}."""
    if not text or len(text) > MAX_OCTETS:
        return _NONE
    try:
        return MappingProxyType(msgspec.json.decode(text, type=dict[str, dict[str, bytes]]))
    except msgspec.DecodeError:
        return _NONE


def changed(text: str, whose: str, values: Mapping[str, bytes | None]) -> str:
    """The text with other values for one person, None = no more. Raises TooMuch where it grows beyond a limit."""
    everybodys = dict(read_metadata(text))
    own = {**everybodys.pop(whose, {}), **values}
    kept = {name: own[name] for name in sorted(own) if own[name] is not None}
    if kept:
        everybodys[whose] = kept  # type: ignore[assignment]
    after = msgspec.json.encode(everybodys).decode() if everybodys else ""
    is_over = len(kept) > MAX_ENTRIES or len(msgspec.json.encode(kept)) > MAX_OWN or len(after) > MAX_OCTETS
    if is_over and len(after) > len(text):
        raise TooMuch
    return after
