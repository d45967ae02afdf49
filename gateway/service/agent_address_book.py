"""Control verbs for somebody who writes a message: as whom he may write, and who there is to write to.

Everybody who is logged in may look up names and addresses of people, lists and shared mailboxes, except of those that
the directory hides (gatepostHidden) or that take no mail. The book is made from the whole directory, so it is kept,
and made anew behind a change, at most a tenth of the time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec

from directory.model import Account, Alias, MailingList, Recipient, SharedMailbox
from directory.port import Directory, is_one_of
from directory.settings import DirectorySettings
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.agent_accounts import Accounts
from gateway.service.imap_shared import prefix_of

MAX_OFFERED = 50
MAX_IDENTITIES = 200
#: of the time, the book is not being made: with 50,000 entries that takes seconds
PAUSE_FACTOR = 10.0
_KINDS: tuple[tuple[type[Recipient], str], ...] = (
    (Account, "person"),
    (MailingList, "list"),
    (SharedMailbox, "shared"),
    (Alias, "alias"),
)


class Identities(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing is asked: the claim says whose."""


class LookUp(msgspec.Struct, forbid_unknown_fields=True):
    """Those in whose name or addresses every word of `text` begins a word."""

    text: Annotated[str, msgspec.Meta(max_length=200)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_OFFERED)] = 10


@dataclass(frozen=True, slots=True)
class _Row:
    #: what is looked in, with a space before every word
    text: str
    name: str
    address: str
    kind: str


@dataclass(frozen=True, slots=True)
class _Book:
    generation: int
    rows: tuple[_Row, ...]
    #: ids of entries that others may write as (gatepostSender)
    lent: tuple[str, ...]
    #: monotonic time from which on it may be made anew
    again: float


class AddressBook:
    """The verbs' functions; thread-safe, with a view of the directory of its own."""

    def __init__(
        self,
        accounts: Accounts,
        directory: Directory,
        generation: Callable[[], int],
        settings: DirectorySettings,
        *,
        service_keeps: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`service_keeps`: what is sent as a shared mailbox is put into its Sent by submission (smtp.keep_sent_shared)."""
        self._accounts, self._directory, self._settings = accounts, directory, settings
        self._generation, self._clock, self._service_keeps = generation, clock, service_keeps
        self._lock = threading.Lock()
        self._book = _Book(-1, (), (), 0.0)

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "identities": Verb(Right.ACT, self._identities, Identities),
            "address-book": Verb(Right.ACT, self._look_up, LookUp),
        }

    def _now(self) -> _Book:
        """The book; called with the lock held."""
        generation, begin = self._generation(), self._clock()
        if generation == self._book.generation or (self._book.generation >= 0 and begin < self._book.again):
            return self._book
        rows, lent = [], []
        for entry in self._directory.search(self._settings.base, "sub", "(objectClass=*)"):
            if not isinstance(entry, Recipient) or not entry.primary:
                continue
            if entry.senders:
                lent.append(entry.id)
            kind = next((word for form, word in _KINDS if isinstance(entry, form)), "")
            if kind and not entry.hidden and entry.status in ("active", "noaccess"):
                name = entry.display_name or ""
                rows.append(_Row(_searched(name, entry), name, entry.primary, kind))
        rows.sort(key=lambda row: (row.name or row.address).casefold())
        end = self._clock()
        self._book = _Book(generation, tuple(rows), tuple(lent), end + PAUSE_FACTOR * (end - begin))
        return self._book

    def _look_up(self, caller: Caller, wanted: LookUp) -> list[dict[str, str]]:
        self._accounts.actor(caller)
        words = [f" {word}" for word in wanted.text.casefold().split()]
        if not words:
            return []
        with self._lock:
            rows = self._now().rows
        found = []
        for row in rows:
            if all(word in row.text for word in words):
                found.append({"name": row.name, "address": row.address, "kind": row.kind})
                if len(found) == wanted.limit:
                    break
        return found

    def _identities(self, caller: Caller, _: Identities) -> list[dict[str, str]]:
        account = self._accounts.actor(caller).account
        if not isinstance(account, Account):
            raise VerbError("that is asked by people who are logged in", 2)
        with self._lock:
            found = {address: (name, sent) for address, name, sent in self._every(account, self._now())}
        return [
            {"address": address, "name": name, "store": sent}
            for address, (name, sent) in list(found.items())[:MAX_IDENTITIES]
        ]

    def _every(self, account: Account, book: _Book) -> Iterator[tuple[str, str, str]]:
        """(address, name, store)."""
        own = account.display_name or ""
        first = account.primary or ""
        for address in sorted(account.addresses, key=lambda each: (each != first, each)):
            yield address, own, ""
        for entry_id in book.lent:
            entry = self._directory.by_id(entry_id)
            if isinstance(entry, Recipient) and entry.primary and is_one_of(self._directory, account, entry.senders):
                yield entry.primary, entry.display_name or own, self._store(entry)
        for granted in account.send_as:
            if not granted.startswith("@"):
                owner = next(iter(self._directory.owners(granted.lower())), None)
                name = owner.display_name if owner is not None else None
                yield granted.lower(), name or own, self._store(owner)

    def _store(self, entry: Recipient | None) -> str:
        """The store whose Sent the writer's program puts a copy into, "" = his own."""
        return prefix_of(entry) if isinstance(entry, SharedMailbox) and not self._service_keeps else ""


def _searched(name: str, entry: Recipient) -> str:
    words = name.split()
    for address in entry.addresses:
        local = address.rpartition("@")[0]
        words += [address, *local.replace("-", ".").split(".")]
    return " " + " ".join(dict.fromkeys(words)).casefold()
