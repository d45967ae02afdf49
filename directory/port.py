"""The ports through which the rest of Gatepost sees the directory. Nothing else crosses.

`Directory` is a synchronous, local look-up (about a microsecond, no network); `Authenticator` may wait.
Both raise `Deferred` for infrastructure trouble and never answer "no such" because of it. The functions here ask
nothing but the port.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from directory.login_mark import LoginMark
from directory.model import Account, Domain, Entry, MailboxHolder, Recipient, ServiceAccount

#: an unknown recipient in an own domain is final only while the copy is younger than this (seconds)
FRESH_SECONDS = 30.0
#: groups looked at for one entry, nested ones included
MAX_GROUPS = 1000


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far the local copy can be trusted. `fresh_at` is unix time of the last proof, 0.0 = never, infinity = always."""

    complete: bool
    fresh_at: float
    #: why absence proves nothing at the moment: the deletion brake, in words for an operator; "" = it does
    braked: str = ""
    #: why the copy is not being updated now, in words for an operator; "" = it is
    trouble: str = ""

    def absence_is_final(self, now: float) -> bool:
        """True when "not in the copy" means "not in the directory"."""
        # a clock that was set back must not make an old copy young
        is_fresh = math.isinf(self.fresh_at) or abs(now - self.fresh_at) < FRESH_SECONDS
        return self.complete and not self.braked and is_fresh


class Directory(Protocol):
    """Read access to effective values (entry, then rules, then domain, then configuration)."""

    def freshness(self) -> Freshness: ...

    def domain(self, name: str) -> Domain | None:
        """The domain whose name or alias is `name` (canonical)."""
        ...

    def domains(self) -> tuple[Domain, ...]:
        """All own domains, by name."""
        ...

    def owners(self, address: str) -> tuple[Recipient, ...]:
        """Every entry that owns the canonical address: none, one, or several in a broken directory."""
        ...

    def by_login(self, login: str) -> tuple[Account | ServiceAccount, ...]:
        """Entries that may log in under this name, compared without regard to case."""
        ...

    def by_id(self, entry_id: str) -> Entry | None: ...

    def by_dn(self, dn: str) -> Entry | None: ...

    def own_values(self, entry_id: str) -> dict[str, Any]:
        """Fields that the entry itself (or a rule of the profile) sets, without what it inherits."""
        ...

    def attributes(self, entry_id: str) -> tuple[str, dict[str, list[bytes]]] | None:
        """Distinguished name and attributes (names in lower case) of the entry, as far as the copy has them: no
        passwords, no photographs. None when there is none."""
        ...

    def groups_of(self, dn: str) -> tuple[str, ...]:
        """Distinguished names of the groups that list `dn` as a member directly."""
        ...

    def shared_with(self, dns: Collection[str]) -> tuple[MailboxHolder, ...]:
        """Entries whose own attributes give one of these persons and groups access to their mailbox."""
        ...

    def search(self, base: str, scope: str, filter_text: str) -> Iterator[Entry]:
        """Entries of interest below `base` (scope base, one or sub) that match the RFC 4515 filter.

        Raises ValueError for a filter that cannot be parsed.
        """
        ...

    def is_held(self, entry_id: str) -> bool:
        """True when the directory no longer shows the entry but the deletion brake keeps it: routing and
        login answer "not now" for it."""
        ...

    def change_mark(self, entry_id: str) -> str:
        """A text that differs after any change of the entry; "" when the entry is gone."""
        ...

    def login_mark(self, entry_id: str) -> LoginMark | None:
        """Whether a password may have changed since: as `change_mark`, without what the server itself writes
        at each login; None when the entry is gone."""
        ...


def groups_of(directory: Directory, dn: str) -> frozenset[str]:
    """Ids of every group that lists `dn`, directly or through other groups."""
    found: set[str] = set()
    waiting = [dn]
    while waiting:
        for group_dn in directory.groups_of(waiting.pop()):
            group = directory.by_dn(group_dn)
            if group is not None and group.id not in found and len(found) < MAX_GROUPS:
                found.add(group.id)
                waiting.append(group.dn)
    return frozenset(found)


def is_one_of(directory: Directory, entry: Entry, names: Collection[str]) -> bool:
    """True when the entry is named by one of the distinguished `names`, itself or as a member of a group."""
    named = {found.id for name in names if (found := directory.by_dn(name)) is not None}
    return bool(named) and (entry.id in named or not named.isdisjoint(groups_of(directory, entry.dn)))


@dataclass(frozen=True, slots=True)
class Login:
    """A successful login. `account` is the entry id, `method` how it was proven (bind, app, token, program, program-read, grace)."""

    account: str
    method: str


class Authenticator(Protocol):
    """Proves who somebody is."""

    async def authenticate(self, login: str, password: str, service: str, address: str, *, near: bool = False) -> Login:
        """Check `password` of `login` for `service` (imap, pop3, submission, ...) from client `address`.

        `near`: the connection came through the web front end of this host, which session tokens are for.

        Raises Refused (AUTHENTICATION_FAILED, SERVICE_NOT_ALLOWED, PASSWORD_MUST_CHANGE) or Deferred
        (AUTHENTICATION_UNAVAILABLE).
        """
        ...
