"""Limits and names of an SMTP service. Sizes in octets, times in seconds."""

from __future__ import annotations

import enum
from typing import Literal

import msgspec


class Role(enum.Enum):
    """Which of the SMTP services a listener is (RFC 5321, 6409, 2033)."""

    MX = "mx"
    SUBMISSION = "submission"
    LMTP = "lmtp"


class SmtpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `smtp`."""

    #: largest message, as sent by the client
    max_message_size: int = 50 * 1024 * 1024
    #: recipients of one message
    max_recipients: int = 1000
    max_recipients_submission: int = 500
    max_command_line: int = 2048
    #: a command line of AUTH, or a response in its course (RFC 4954 4)
    max_auth_line: int = 12288
    #: one line of a message
    max_data_line: int = 64 * 1024
    #: Received fields: more is a loop
    max_hops: int = 50
    #: refused commands in one session
    max_errors: int = 20
    #: failed logins in one session
    max_login_failures: int = 3
    #: commands in one session, since the last message, that bring no message nearer (NOOP, RSET, VRFY, EHLO, …)
    max_junk_commands: int = 100
    #: waiting for a command or for the next octets of a message
    command_timeout: float = 300.0
    #: a bare LF in a message: taken as a line end, or the message refused
    bare_newline: Literal["normalize", "refuse"] = "normalize"
