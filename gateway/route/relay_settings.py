"""Ways out for mail (configuration section `relay`): smarthosts, routes by domain, their TLS, addresses and logins."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from directory.model.units import Count, Port, Seconds

#: how a connection is protected: TLS where the peer offers it, TLS or nothing, TLS with a verified certificate, never
Tls = Literal["may", "must", "verify", "never"]


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A login at other hosts. It is sent to the hosts named here only, over TLS with a verified certificate only."""

    #: hosts that may be told the password; whoever may write gatepostRelayHost cannot direct it elsewhere
    hosts: tuple[str, ...]
    #: the name to log in with
    login: str
    #: file whose first line is the password
    password_file: str


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a peer may take (RFC 5321 4.5.3.2)."""

    #: for a connection
    connect: Seconds = 30.0
    #: for its greeting
    greeting: Seconds = 300.0
    #: for the answer to EHLO, MAIL, RCPT and others
    command: Seconds = 300.0
    #: for the answer to DATA
    data: Seconds = 120.0
    #: to take one block of the message
    block: Seconds = 180.0
    #: for the answer behind the end of the message
    end: Seconds = 600.0
    #: for the TLS handshake
    tls: Seconds = 60.0


class RelaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `relay`."""

    #: where all mail for outside goes: "" or mx = to the hosts named by MX records; else a way as in `relay.routes`
    smarthost: str = ""
    #: ways by recipient domain (.example.org = all below it): mx, host, host:port, [IPv6]:port, lmtp:host:port, or
    #: credentials@host:port to log in with `relay.credentials`; port 465 is TLS from the first octet
    routes: dict[str, str] = {}
    #: logins at other hosts, by a name that ways refer to
    credentials: dict[str, Credentials] = {}
    #: protection by recipient domain, or host of a way (.example.org = all below it, "*" = every other): may, must,
    #: verify or never; may is what holds without a rule
    tls: dict[str, Tls] = {}
    #: own IPv4 and IPv6 addresses that connections come from, by domain of the sender ("*" = every other)
    source: dict[str, tuple[str, ...]] = {}
    #: port of the hosts that MX records name
    mx_port: Port = 25
    #: addresses that are tried, in this order: ipv6, ipv4; leave one out where it does not work
    families: tuple[Literal["ipv6", "ipv4"], ...] = ("ipv6", "ipv4")
    #: also deliver to loopback and private addresses that MX records lead to, which others could abuse
    allow_private: bool = False
    #: other names of this host, beside `hostname`, under which MX records may name it
    own_names: tuple[str, ...] = ()
    #: verify hosts by the TLSA records of their domains, where `dns` can trust its answers (RFC 7672)
    dane: bool = True
    #: verify hosts as the MTA-STS policies of their domains say (RFC 8461)
    mta_sts: bool = True
    #: file of certificate authorities that count beside those of the system, PEM
    ca_file: str = ""
    #: how long a peer may take
    timeouts: Timeouts = Timeouts()
    #: connections that are kept for the next message, in all; 0 = none
    idle_connections: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 50
    #: how long a connection is kept for the next message
    idle_time: Seconds = 10.0
    #: messages that go through one connection
    messages_per_connection: Count = 100
    #: addresses of a destination that are tried in one attempt
    max_addresses: Count = 6
    #: port on which other gateways take LMTP for the mailboxes they hold
    lmtp_port: Port = 24
