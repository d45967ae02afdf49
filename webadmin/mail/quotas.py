"""How full the person's store is, for the bar below the folders (RFC 9208)."""

from __future__ import annotations

from dataclasses import dataclass

from webadmin.backend import NotPossible
from webadmin.mail.answers import number, octets, values
from webadmin.mail.store import Store


@dataclass(frozen=True, slots=True)
class Quota:
    """Octets; a limit of 0 is none."""

    used: int
    limit: int

    @property
    def percent(self) -> int:
        return min(100, self.used * 100 // self.limit) if self.limit else 0


def quota(store: Store) -> Quota | None:
    """Of the person's own store; None where the server counts nothing."""
    try:
        said = store.ask(b"GETQUOTAROOT", b"INBOX").get("QUOTA", [])
    except NotPossible:
        return None
    found = values(said)
    for each in found:
        if isinstance(each, list):
            for at in range(0, len(each) - 2, 3):
                if octets(each[at]).upper() == b"STORAGE":
                    return Quota(number(each[at + 1]) << 10, number(each[at + 2]) << 10)
    return None
