"""Limits of the POP3 service (configuration section `pop3`). Sizes in octets, times in seconds."""

from __future__ import annotations

import msgspec


class Pop3Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `pop3`."""

    max_line: int = 2048
    max_auth_line: int = 12288
    max_errors_before_login: int = 3
    max_errors: int = 20
    idle_timeout: float = 600.0
