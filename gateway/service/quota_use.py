"""A control verb that tells what mailboxes hold and what they may hold, the fullest first. In the queue runner.

The index knows what each holds; it is read whole, at most every few seconds, however often somebody asks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from directory.model import Account, MailboxHolder
from directory.port import Directory
from directory.rights import Actor
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.runner_actors import Actors
from gateway.store.repository import AccountRow, Repository

KEPT_SECONDS = 5.0
ROWS = 2_000  # in one look at the index
MAX_ACCOUNTS = 1_000_000
MAX_SHOWN = 200
NEARLY = 0.9  # of the quota


class QuotaUse(msgspec.Struct, forbid_unknown_fields=True):
    """Of mailboxes in whose name or addresses `text` occurs, in `domain` unless ""; by what they hold, or how full."""

    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    domain: Annotated[str, msgspec.Meta(max_length=255)] = ""
    order: Literal["used", "share"] = "used"
    start: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_SHOWN)] = 50


class QuotaVerb:
    """The verb's function; it runs in a thread."""

    def __init__(self, directory: Directory, repository: Repository | None, actors: Actors) -> None:
        self._directory, self._repository, self._actors = directory, repository, actors
        self._lock = threading.Lock()
        self._rows: list[AccountRow] = []
        self._read_at = float("-inf")

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table."""
        return {"quota-use": Verb(Right.ACT, self._use, QuotaUse)}

    def _accounts(self) -> list[AccountRow]:
        """Every account of the index. Raises VerbError, Deferred."""
        if self._repository is None:
            raise VerbError("this host has no index: it only delivers", 1)
        with self._lock:
            if time.monotonic() - self._read_at > KEPT_SECONDS:
                rows: list[AccountRow] = []
                while len(rows) < MAX_ACCOUNTS and (
                    more := self._repository.accounts(rows[-1].account if rows else "", ROWS)
                ):
                    rows.extend(more)
                self._rows, self._read_at = rows, time.monotonic()
            return self._rows

    def _use(self, caller: Caller, wanted: QuotaUse) -> dict[str, Any]:
        actor = self._actors.actor(caller)
        words = wanted.text.casefold().split()
        found = []
        for row in self._accounts():
            entry = self._directory.by_id(row.account)
            if not isinstance(entry, MailboxHolder) or not self._counts(actor, entry, wanted.domain):
                continue
            shown = _shown(entry, row)
            text = f"{shown['title']} {' '.join(entry.addresses)}".casefold()
            if all(word in text for word in words):
                found.append(shown)
        found.sort(key=lambda row: (-(row["share"] or 0.0) if wanted.order == "share" else 0.0, -row["used"]))
        return {
            "total": len(found),
            "used": sum(row["used"] for row in found),
            "messages": sum(row["messages"] for row in found),
            "full": sum((row["share"] or 0.0) >= 1 for row in found),
            "nearly": sum(NEARLY <= (row["share"] or 0.0) < 1 for row in found),
            "mailboxes": found[wanted.start : wanted.start + wanted.limit],
        }

    def _counts(self, actor: Actor, entry: MailboxHolder, domain: str) -> bool:
        if domain and not any(address.rpartition("@")[2] == domain for address in entry.addresses):
            return False
        return self._actors.rights.may_see(actor, entry)


def _shown(entry: MailboxHolder, row: AccountRow) -> dict[str, Any]:
    logins = entry.logins if isinstance(entry, Account) else ()
    address = entry.primary or ""
    return {
        "key": logins[0] if logins else address,
        "kind": "user" if isinstance(entry, Account) else "shared",
        "title": entry.display_name or address,
        "address": address,
        "used": row.used_bytes,
        "messages": row.used_messages,
        "quota": entry.quota,
        "soft": entry.quota_soft,
        "share": row.used_bytes / entry.quota if entry.quota else None,
    }
