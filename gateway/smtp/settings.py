"""Limits and names of an SMTP service. Sizes in octets, times in seconds."""

from __future__ import annotations

import enum
from typing import Literal

import msgspec

from directory.model.units import Count, Seconds, Size


class Role(enum.Enum):
    """Which of the SMTP services a listener is (RFC 5321, 6409, 2033)."""

    MX = "mx"
    SUBMISSION = "submission"
    LMTP = "lmtp"
    #: programs of this host, over a unix socket: whoever the system says they are may send to everywhere
    LOCAL = "local"


#: what has to be written out, so that nobody does it by mistake
OPEN_RELAY = "I know that everybody will send spam through this host"


class SmtpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `smtp`."""

    #: largest message, as sent by the client
    max_message_size: Size = 50 * 1024 * 1024
    #: recipients of one message
    max_recipients: Count = 1000
    #: recipients of one message of one's own people
    max_recipients_submission: Count = 500
    #: how long a submitted message may be held before it goes (RFC 4865); 0 = FUTURERELEASE is not offered
    max_hold: Seconds = 90 * 86400.0
    #: one line of a command, except AUTH
    max_command_line: Size = 2048
    #: a command line of AUTH, or a response in its course (RFC 4954 4)
    max_auth_line: Size = 12288
    #: one line of a message
    max_data_line: Size = 64 * 1024
    #: Received fields: more is a loop
    max_hops: Count = 50
    #: refused commands in one session
    max_errors: Count = 20
    #: failed logins in one session
    max_login_failures: Count = 3
    #: commands in one session, since the last message, that bring no message nearer (NOOP, RSET, VRFY, EHLO, …)
    max_junk_commands: Count = 100
    #: waiting for a command or for the next octets of a message
    command_timeout: Seconds = 300.0
    #: the same while the host has nearly as many sessions as it may (limits.unauthenticated_connections)
    command_timeout_busy: Seconds = 60.0
    #: octets a second that a message must bring on average, after command_timeout
    min_rate: Count = 500
    #: the longest time that one message may take to come
    message_timeout: Seconds = 1800.0
    #: whether port 25 takes mail of everybody for everywhere; `gatepost status` is red while it does
    open_relay: Literal["no", "I know that everybody will send spam through this host"] = "no"
    #: whether a copy of what is sent as a shared mailbox is kept in its Sent mailbox; clients that keep one themselves
    #: then make a second
    keep_sent_shared: bool = False
    #: a bare LF in a message: taken as a line end, or the message refused
    bare_newline: Literal["normalize", "refuse"] = "normalize"
