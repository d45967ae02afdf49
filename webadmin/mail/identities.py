"""As whom somebody may write: his own addresses, and those of shared mailboxes that he may send as."""

from __future__ import annotations

from webadmin.mail.compose_form import Identity
from webadmin.person import ask


def identities() -> dict[str, Identity]:
    """By address in lower case, the first choice first. Raises NotPossible, Unavailable."""
    found = [Identity(one["address"], one["name"], one["store"]) for one in ask("identities")]
    return {identity.address.lower(): identity for identity in found}
