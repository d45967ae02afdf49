"""Configuration section `auth`."""

from __future__ import annotations

from typing import Literal

import msgspec

from directory.model.units import Count, Seconds


class AuthSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How logins are checked."""

    #: logins without TLS: never, from loopback listeners, or always
    plaintext: Literal["never", "loopback", "always"] = "never"
    #: a login that succeeded is not asked of the directory again for so long, unless its entry changes
    success_cache: Seconds = 300.0
    #: while the directory is down, logins that succeeded within this time keep working; 0 = none does
    grace: Seconds = 86_400.0
    #: so many different wrong passwords an account and 15 minutes reach the directory from addresses
    #: that had no success with this account in 30 days
    bind_budget: Count = 3
    #: failed logins (different account or password) from one address, /64 for IPv6, before it is slowed down
    failures_per_minute: Count = 10
    #: the same within a day
    failures_per_day: Count = 50
