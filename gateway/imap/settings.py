"""Limits of the IMAP service (configuration section `imap`). Sizes in octets, times in seconds."""

from __future__ import annotations

import msgspec

from directory.model.units import Count, Seconds, Size


class ImapSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `imap`."""

    max_line: Size = 65536
    max_literal: Size = 131072
    max_command: Size = 1 << 20
    max_before_login: Size = 8192
    #: stored octets of a message that are read and kept at once
    piece: Size = 262_144
    max_errors_before_login: Count = 3
    max_errors: Count = 20
    #: a message that a client may put into a mailbox
    max_append: Size = 52_428_800
    #: different keywords on all messages of an account together
    max_keywords: Count = 500
    #: how often a client in IDLE is told that the server is there, and a lost hint is made good for
    idle_keepalive: Seconds = 120.0
    idle_timeout: Seconds = 1800.0
