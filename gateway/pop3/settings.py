"""Limits of the POP3 service (configuration section `pop3`). Sizes in octets, times in seconds."""

from __future__ import annotations

from typing import Annotated

import msgspec

from directory.model.units import Count, Seconds, Size

Lease = Annotated[float, msgspec.Meta(ge=1, le=3600, extra={"unit": "seconds"})]


class Pop3Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `pop3`."""

    #: one line of a command
    max_line: Size = 2048
    #: a response in the course of AUTH
    max_auth_line: Size = 12288
    #: wrong commands before the login
    max_errors_before_login: Count = 3
    #: wrong commands after it
    max_errors: Count = 20
    #: silence that ends a session (RFC 1939 3: at least ten minutes)
    idle_timeout: Seconds = 600.0
    #: a maildrop is locked for this long and again; so long the next session waits after a worker was killed
    lock_lease: Lease = 30.0
    #: so long after a login the next one of the account is refused (RFC 2449 6.5); 0 = not at all
    login_delay: Seconds = 0.0
    #: messages that have been in INBOX for so long are removed when a POP3 session ends (RFC 2449 6.7); 0 = never
    expire: Seconds = 0.0
    #: false removes what RETR has given out when the session ends, as with DELE
    leave_on_server: bool = True
