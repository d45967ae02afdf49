"""Effective values: what an entry leaves open comes from its domain, then from the configuration."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from directory.model import Domain, Entry, MailboxHolder

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
)


class Defaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What holds where neither the entry nor its domain says anything."""

    quota: int = 0
    quota_soft: int = 0
    quota_messages: int = 0
    quota_grace: int = 7 * 86400
    services: tuple[str, ...] = ("imap", "pop3", "submission", "webmail", "sieve", "selfservice")


def inherited(cls: type[Entry], domain: Domain | None, defaults: Defaults) -> dict[str, Any]:
    """What an entry of the class gets where its own values say nothing."""
    fields = {field.name for field in dataclasses.fields(cls)}
    found: dict[str, Any] = {}
    for name in _INHERITED:
        if name not in fields:
            continue
        value = getattr(domain, name, None) if domain is not None else None
        if value in (None, ()):
            value = getattr(defaults, name, None)
        if value not in (None, ()):
            found[name] = value
    return found


def limit_status(cls: type[Entry], values: dict[str, Any], domain: Domain | None) -> None:
    """The store of an active entry is not more active than its domain."""
    if domain is None or domain.status == "active" or not issubclass(cls, MailboxHolder):
        return
    if values.get("status", "active") == "active":
        values["status"] = domain.status
