"""Limits of the IMAP service (configuration section `imap`). Sizes in octets, times in seconds."""

from __future__ import annotations

import msgspec


class ImapSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `imap`."""

    max_line: int = 65536
    max_literal: int = 131072
    max_command: int = 1 << 20
    max_before_login: int = 8192
    max_errors_before_login: int = 3
    max_errors: int = 20
    idle_timeout: float = 1800.0
