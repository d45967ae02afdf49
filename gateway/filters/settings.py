"""Checks of content and of who sent it (configuration section `filters`)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from directory.model.units import Count, Seconds

CheckedService = Literal["mx", "submission", "lmtp", "local"]


class RspamdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """rspamd, asked about every message before it is accepted."""

    #: its normal worker, as in http://127.0.0.1:11333; "" = not asked
    url: str = ""
    #: for one message
    timeout: Seconds = 30.0
    #: what happens when it does not answer: accept the message unchecked, or defer it (451)
    on_trouble: Literal["accept", "defer"] = "defer"
    #: what it rejects with a lower score than this goes to the Junk mailbox instead
    reject_above: float = 0.0
    #: mail that came in by these is shown to it
    services: tuple[CheckedService, ...] = ("mx",)
    #: larger messages are accepted unchecked
    max_size: Count = 20 * 1024 * 1024


class AuthenticationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """SPF and DKIM of mail that comes in from outside, told in an Authentication-Results field."""

    #: whether the client may send for the domain of the return path (RFC 7208) is asked
    spf: bool = False
    #: the signatures of a message are verified (RFC 6376)
    dkim: bool = False
    #: signatures that are looked at in one message, from the top
    signatures: Annotated[int, msgspec.Meta(ge=1, le=10)] = 5
    #: for all questions to the DNS about one message; what it did not answer by then is temperror
    timeout: Seconds = 20.0


class FilterSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Configuration section `filters`."""

    #: who writes our Authentication-Results fields (RFC 8601); others' fields of that name are removed; "" = hostname
    authserv_id: str = ""
    #: addresses or networks of relays of ours: what they say about a message is kept, who sent it is not asked again
    relays: tuple[str, ...] = ()
    authentication: AuthenticationSettings = AuthenticationSettings()
    rspamd: RspamdSettings = RspamdSettings()
