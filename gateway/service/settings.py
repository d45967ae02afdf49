"""Limits of connections of every protocol (configuration section `limits`). Times in seconds."""

from __future__ import annotations

import msgspec


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `limits`."""

    #: IMAP and POP3: from the connection to the login, all together
    login_timeout: float = 60.0
    #: a client that does not read what it asked for is cut after this
    write_timeout: float = 60.0
