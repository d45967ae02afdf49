"""Limits of the POP3 service (configuration section `pop3`). Sizes in octets, times in seconds."""

from __future__ import annotations

import msgspec

from directory.model.units import Count, Seconds, Size


class Pop3Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `pop3`."""

    max_line: Size = 2048
    max_auth_line: Size = 12288
    max_errors_before_login: Count = 3
    max_errors: Count = 20
    idle_timeout: Seconds = 600.0
