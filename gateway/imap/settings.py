"""Limits of the IMAP service (configuration section `imap`). Sizes in octets, times in seconds."""

from __future__ import annotations

import msgspec

from directory.model.units import Count, Seconds, Size


class Without(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Extensions that are switched off, for those whom every list that is given fits; without any, for everybody."""

    #: as they are announced: COMPRESS, CONDSTORE, IMAP4rev2, MOVE, …
    capabilities: tuple[str, ...]
    #: logins, addresses, or entries' ids
    users: tuple[str, ...] = ()
    #: distinguished names of groups, members of groups in them included
    groups: tuple[str, ...] = ()
    #: what mail programs call themselves by ID (RFC 2971), with * and ?: "*Outlook*"
    clients: tuple[str, ...] = ()


class ImapSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `imap`."""

    #: one line of a command
    max_line: Size = 65536
    #: one literal that is not a message
    max_literal: Size = 131072
    #: a command with all its literals
    max_command: Size = 1 << 20
    #: a command before the login
    max_before_login: Size = 8192
    #: stored octets of a message that are read and kept at once
    piece: Size = 262_144
    #: wrong commands before the login
    max_errors_before_login: Count = 3
    #: wrong commands after it
    max_errors: Count = 20
    #: a message that a client may put into a mailbox
    max_append: Size = 52_428_800
    #: messages that SORT and THREAD put in order
    max_sorted: Count = 200_000
    #: different keywords on all messages of an account together
    max_keywords: Count = 500
    #: whether each reader of a shared mailbox has an own \Seen there; false: what one has read, all have read
    own_seen: bool = True
    #: whether the owner of a mailbox may give rights to everybody who can log in (`anyone` of RFC 4314)
    acl_anyone: bool = False
    #: extensions that are switched off for some: [{capabilities: [CONDSTORE], clients: ["*Outlook*"]}]
    without: tuple[Without, ...] = ()
    #: how often a client in IDLE is told that the server is there, and a lost hint is made good for
    idle_keepalive: Seconds = 120.0
    #: silence that ends a session (RFC 9051 5.4: at least 30 minutes)
    idle_timeout: Seconds = 1800.0
