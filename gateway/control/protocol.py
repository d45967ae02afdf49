"""The local admin socket: one JSON object a line each way.

Request `{"id": 1, "verb": "accept-deletions", "args": {}}`, reply `{"id": 1, "result": …}` or
`{"id": 1, "error": "…", "code": 5}` with the exit code that a command ends with (4 temporary, 5 not allowed).
"""

from __future__ import annotations

from typing import Any

import msgspec

MAX_LINE = 1 << 20  # octets


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """One wish."""

    id: int
    verb: str
    args: dict[str, Any] = {}


class Reply(msgspec.Struct, omit_defaults=True):
    """Its answer; `error` "" means done."""

    id: int
    result: Any = None
    error: str = ""
    code: int = 0
