"""Addresses that must always reach a person: postmaster (RFC 5321 4.5.1), abuse (RFC 2142), mailer-daemon and
root (what the host itself writes to).

An entry of the directory that owns such an address always wins. Without one they go, in this order, to
`route.postmaster`, to the domain's own postmaster entry, to the administrators named by the domain
(`gatepostDomainAdmin`), then to those of the other domains in the order of their names, then to the postmaster entry of
another domain in that order.
"""

from __future__ import annotations

from directory.model import Domain
from directory.port import Directory

ALWAYS = frozenset({"postmaster", "abuse", "mailer-daemon", "root"})


def administrators(directory: Directory, domain: Domain | None) -> tuple[str, ...]:
    """Distinguished names of those who answer for `domain`, else for any domain."""
    if domain is not None and domain.admins:
        return domain.admins
    for other in directory.domains():
        if other.admins:
            return other.admins
    return ()
