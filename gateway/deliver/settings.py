"""Where names are looked up (configuration section `dns`)."""

from __future__ import annotations

import msgspec

from directory.model.units import Count, Seconds


class DnsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `dns`."""

    #: name servers, as address or [address]:port, asked in this order; empty = those of /etc/resolv.conf
    servers: tuple[str, ...] = ()
    #: addresses of name servers whose DNSSEC verdict (AD) counts, beside those on loopback: the way to them must be safe
    trusted: tuple[str, ...] = ()
    #: for one answer of one server
    timeout: Seconds = 4.0
    #: for one name in all, with every server and repetition
    lifetime: Seconds = 15.0
    #: answers kept
    cache: Count = 10_000
    #: the longest that an answer is kept, whatever its own time says
    max_ttl: Seconds = 86400.0
