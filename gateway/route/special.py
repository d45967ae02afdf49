"""Addresses that must always reach a person: postmaster (RFC 5321 4.5.1), abuse and mailer-daemon (RFC 2142),
and the service addresses of a list.

An entry of the directory that owns such an address always wins. Without one they go, in this order, to
`route.postmaster`, to the domain's own postmaster entry, to the administrators named by the domain
(`gatepostDomainAdmin`), then to those of the other domains in the order of their names.
"""

from __future__ import annotations

from directory.model import Domain, MailingList
from directory.port import Directory

ALWAYS = frozenset({"postmaster", "abuse", "mailer-daemon"})

#: local part endings under which the owners of a list are reached; bounces of a list come back to the first
LIST_SUFFIXES = ("-bounces", "-owner", "-request")


def bounce_address(mailing_list: MailingList) -> str | None:
    """The return path of what a list sends: `<list>-bounces@domain`; None for a list without address."""
    primary = mailing_list.addresses[0] if mailing_list.addresses else None
    if mailing_list.primary and mailing_list.primary.lower() in mailing_list.addresses:
        primary = mailing_list.primary.lower()
    if primary is None:
        return None
    local, _, domain = primary.rpartition("@")
    return f"{local}{LIST_SUFFIXES[0]}@{domain}"


def list_of(local: str) -> str | None:
    """The local part of the list whose service address `local` is, if it looks like one."""
    for suffix in LIST_SUFFIXES:
        if local.endswith(suffix) and len(local) > len(suffix):
            return local[: -len(suffix)]
    return None


def administrators(directory: Directory, domain: Domain | None) -> tuple[str, ...]:
    """Distinguished names of those who answer for `domain`, else for any domain."""
    if domain is not None and domain.admins:
        return domain.admins
    for other in directory.domains():
        if other.admins:
            return other.admins
    return ()
