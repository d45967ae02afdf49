"""Limits and names of an SMTP service. Sizes in octets, times in seconds."""

from __future__ import annotations

import enum

import msgspec


class Role(enum.Enum):
    """Which of the SMTP services a listener is (RFC 5321, 6409, 2033)."""

    MX = "mx"
    SUBMISSION = "submission"
    LMTP = "lmtp"


class SmtpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `smtp`."""

    max_message_size: int = 50 * 1024 * 1024
    max_recipients: int = 1000
    max_recipients_submission: int = 500
    max_command_line: int = 2048
    max_auth_line: int = 12288
    max_hops: int = 50
    max_errors: int = 20
    command_timeout: float = 300.0
    data_timeout: float = 1800.0
    bare_newline: str = "normalize"
