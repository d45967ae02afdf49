"""Limits of connections of every protocol (section `limits`) and of the processes (section `processes`)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from directory.model.units import Count, Seconds


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `limits`."""

    #: IMAP and POP3: from the connection to the login, all together
    login_timeout: Seconds = 60.0
    #: for a TLS handshake
    handshake_timeout: Seconds = 30.0
    #: a client that does not read what it asked for is cut after this
    write_timeout: Seconds = 60.0
    #: a proxy named in proxy_from must have said whom it connects for
    proxy_timeout: Seconds = 10.0
    #: connections of one address (IPv6: one /64) that have not logged in
    connections_per_address: Count = 50
    #: sessions of one account from one address
    connections_per_account: Count = 20
    #: sessions of this host that have not logged in; beyond it the one that was silent longest is ended
    unauthenticated_connections: Count = 2000
    #: networks whose connections are not counted by address
    exempt_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")


class ProcessSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the master watches and replaces its processes (configuration section `processes`)."""

    #: how often a process shows that it lives; one that misses three is replaced
    heartbeat: Annotated[float, msgspec.Meta(ge=0.1, le=300, extra={"unit": "seconds"})] = 5.0
    #: how long a process may take from its start until it serves
    start_timeout: Seconds = 60.0
    #: after a reload: how long sessions may go on under the old configuration
    drain_timeout: Seconds = 300.0
    #: at a stop: how long the work in hand may take
    stop_timeout: Seconds = 10.0
    #: a process that ends at once is started again after a pause that doubles up to this
    restart_max: Seconds = 30.0
