"""When an account is stopped from sending (configuration section `brake`). Times in seconds."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from directory.model.units import Count, Seconds

Threshold = Annotated[int, msgspec.Meta(ge=0)]


class BrakeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `brake`."""

    #: stop: an account that behaves as a stolen one sends nothing more; none: nothing is counted, only operators stop
    action: Literal["stop", "none"] = "stop"
    #: different recipients outside in a day, from which on it is a sign; 0 = never
    recipients: Threshold = 1000
    #: times that a sending limit of the account was met in a day, from which on it is a sign; 0 = never
    limit_hits: Threshold = 100
    #: different networks (IPv4 /16, IPv6 /32) that the account sent from in a day, from which on it is a sign; 0 = never
    networks: Threshold = 20
    #: the three above are signs only if they are so many times what the account did on its busiest day before
    factor: Count = 10
    #: recipients in a week that were refused or bounced, from which on it is a sign; 0 = never
    failures: Threshold = 100
    #: and only if they are this share of all recipients of that week
    failed_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    #: so long it is remembered what an account did
    history: Seconds = 35 * 86400.0
    #: so long after counting began on this host only failures are a sign: nobody knows yet what is usual
    learning: Seconds = 7 * 86400.0
    #: logins or addresses of accounts that are not looked at
    exempt: tuple[str, ...] = ()
