"""Effective values: what an entry leaves open comes from its domain, then from the configuration."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from directory.model import Domain, Entry, MailboxHolder
from directory.model.units import Size, WholeSeconds

#: fields that an entry of the class inherits from the domain of its primary address
_INHERITED = (
    "quota",
    "quota_soft",
    "quota_messages",
    "quota_grace",
    "services",
    "max_message_size",
    "max_recipients",
    "send_limits",
    "store",
    "mail_host",
    "delivery",
)


class Defaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds where neither the entry nor its domain says anything."""

    #: octets that an account may keep; 0 = no limit
    quota: Size = 0
    #: octets that may be exceeded, with a warning, for `quota_grace`; 0 = no such limit
    quota_soft: Size = 0
    #: messages that an account may keep; 0 = no limit
    quota_messages: int = 0
    #: how long `quota_soft` may be exceeded before it is a hard limit; 0 = not at all
    quota_grace: WholeSeconds = 7 * 86400
    #: recipients that an account may send to, as COUNT/PERIOD; several are allowed, as in [200/h, 1000/d]
    send_limits: tuple[str, ...] = ()
    #: what people may use
    services: tuple[str, ...] = ("imap", "pop3", "submission", "webmail", "sieve", "selfservice")
    #: delivery programs (names in `programs`) that see every message before it goes into the store; one that ends with
    #: 99 has taken it. An account has others with gatepostDelivery, none with the rule `@ deliver`
    delivery: tuple[str, ...] = ()


#: field -> fields that belong to it: who sets the first does not inherit the others, for a soft quota of the domain
#: says nothing about an account that is given another hard one
_TOGETHER = {"quota": ("quota_soft",)}


def inherited(cls: type[Entry], domain: Domain | None, defaults: Defaults) -> dict[str, Any]:
    """What an entry of the class gets where its own values say nothing."""
    fields = {field.name for field in dataclasses.fields(cls)}
    found: dict[str, Any] = {}
    for name in _INHERITED:
        if name not in fields:
            continue
        value = getattr(domain, name, None) if domain is not None else None
        if value in (None, ()) and not any(
            name in others and getattr(domain, first, None) is not None for first, others in _TOGETHER.items()
        ):
            value = getattr(defaults, name, None)
        if value not in (None, ()):
            found[name] = value
    return found


def filled(own: dict[str, Any], inherits: dict[str, Any]) -> dict[str, Any]:
    """An entry's own values, and what it inherits where it says nothing."""
    found = inherits | own
    for first, others in _TOGETHER.items():
        if first in own:
            for name in others:
                if name in found and name not in own:
                    del found[name]
    return found


def limit_status(cls: type[Entry], values: dict[str, Any], domain: Domain | None) -> None:
    """The store of an active entry is not more active than its domain."""
    if domain is None or domain.status == "active" or not issubclass(cls, MailboxHolder):
        return
    if values.get("status", "active") == "active":
        values["status"] = domain.status
