"""The local admin socket: one JSON object a line each way.

Request `{"id": 1, "verb": "accept-deletions", "args": {}, "actor": {...}}`, reply `{"id": 1, "result": …}` or
`{"id": 1, "error": "…", "code": 5}` with the exit code that a command ends with (1 the answer is no, 2 the wish is
wrong, 4 temporary, 5 not allowed, 70 bug).
"""

from __future__ import annotations

from typing import Any

import msgspec

MAX_LINE = 1 << 20  # octets


class Claim(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Who the wish comes from, other than the operator: login and password, or a session token.

    `address` is where that person sits, for accounts with allowed networks.
    """

    login: str = ""
    password: str = ""
    token: str = ""
    address: str = "127.0.0.1"

    def __repr__(self) -> str:
        return f"Claim({self.login!r})"


class Request(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One wish."""

    id: int
    verb: str
    args: dict[str, Any] = {}
    actor: Claim | None = None


class Reply(msgspec.Struct, omit_defaults=True):
    """Its answer; `error` "" means done."""

    id: int
    result: Any = None
    error: str = ""
    code: int = 0
