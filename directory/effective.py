"""Effective values: what an entry leaves open comes from its domain, then from the configuration."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from directory.model import Account, Domain, Entry, MailboxHolder, Recipient
from directory.model.units import Seconds, Size

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

    quota: Size = 0
    quota_soft: Size = 0
    quota_messages: int = 0
    quota_grace: Seconds = 7 * 86400
    services: tuple[str, ...] = ("imap", "pop3", "submission", "webmail", "sieve", "selfservice")


def effective(entry: Entry, domain: Domain | None, defaults: Defaults) -> Entry:
    """`entry` with its open fields filled. Returns the same object when nothing was open."""
    if not isinstance(entry, Recipient):
        return entry
    changes: dict[str, Any] = {}
    for name in _INHERITED:
        if not hasattr(entry, name) or getattr(entry, name) not in (None, ()):
            continue
        value = getattr(domain, name, None) if domain is not None else None
        if value in (None, ()):
            value = getattr(defaults, name, None)
        if value not in (None, ()):
            changes[name] = value
    if (
        domain is not None
        and isinstance(entry, MailboxHolder | Account)
        and entry.status == "active"
        and domain.status != "active"
    ):
        changes["status"] = domain.status
    return dataclasses.replace(entry, **changes) if changes else entry
