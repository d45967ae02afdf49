"""How addresses are read and how far they are expanded (configuration section `route`)."""

from __future__ import annotations

from typing import Literal

import msgspec

from directory.model.units import Count


class RouteSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `route`."""

    #: what stands between a local part and its extension (RFC 5233 calls it the separator), as in "-" for addresses
    #: of qmail; of several characters each one is a separator; "" = none
    extension_separator: str = "+"
    #: domain of addresses without one in mail of this host's own programs (sendmail, cron); "" = the host's name
    origin: str = ""
    #: who gets mail to postmaster, abuse, mailer-daemon and root where the directory has no such entry
    postmaster: str = ""
    #: whether forwards and rules of people may lead outside; refuse: such a target is passed over, and a mailbox whose
    #: forwards all are keeps the message
    external_forward: Literal["allow", "refuse"] = "allow"
    #: most targets of one address after expansion
    max_members: Count = 10_000
    #: how deep aliases, forwards, lists and groups may lead into each other
    max_depth: Count = 10
