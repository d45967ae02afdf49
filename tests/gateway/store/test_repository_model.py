"""Random histories: SQLite answers what the repository in memory answers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from directory.model import Deferred, Refused
from gateway.store.memory import MemoryRepository
from gateway.store.repository import Limits, NewMessage, Placement, Repository
from gateway.store.sqlite import SqliteRepository

ACCOUNTS = st.sampled_from(["a", "b"])
MAILBOXES = st.integers(1, 4)
READERS = st.sampled_from(["u", "v"])
UIDS = st.frozensets(st.integers(1, 12), max_size=6)
NAMES = st.sampled_from(["Work", "Work/x", "Work/x/y", "Workshop", "Play"])
LETTERS = st.text("DFRSTXP", max_size=4)
WORDS = st.lists(st.sampled_from(["work", "Work", "$Forwarded", "Junk"]), max_size=3).map(" ".join)
LIMITS = st.builds(Limits, st.sampled_from([0, 0, 60, 150]), st.sampled_from([0, 0, 5, 12]))


def plain(value: Any) -> Any:
    """An answer without what depends on the clock."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Deferred | Refused):
        return type(value).__name__
    if is_dataclass(value) and "savedate" in {field.name for field in fields(value)}:
        return replace(value, savedate=0.0)  # type: ignore[type-var]
    return value


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._real, self._model = SqliteRepository(Path(self._folder.name)), MemoryRepository()
        self._number = 0
        for account in ("a", "b"):
            self._both(lambda r, account=account: r.create_account(account, "/x", 1000.0))

    def teardown(self) -> None:
        self._real.close()
        self._folder.cleanup()

    def _both(self, act: Callable[[Repository], Any]) -> None:
        answers = []
        for repository in (self._real, self._model):
            try:
                answers.append(plain(act(repository)))
            except (Deferred, Refused, ValueError) as error:
                answers.append(type(error).__name__)
        assert answers[0] == answers[1]

    def _new(self, size: int, flags: str = "", **facts: Any) -> NewMessage:
        self._number += 1
        return NewMessage(
            f"k{self._number}", size, size + 1, 5.0, flags="".join(sorted(set(flags) & set("DFRST"))), **facts
        )

    @rule(account=ACCOUNTS, name=NAMES)
    def create(self, account: str, name: str) -> None:
        self._both(lambda r: r.create_mailbox(account, name))

    @rule(account=ACCOUNTS, mailbox=MAILBOXES)
    def delete(self, account: str, mailbox: int) -> None:
        self._both(lambda r: r.delete_mailbox(account, mailbox))

    @rule(account=ACCOUNTS, mailbox=MAILBOXES, name=NAMES)
    def rename(self, account: str, mailbox: int, name: str) -> None:
        self._both(lambda r: r.rename_mailbox(account, mailbox, name))

    @rule(
        account=ACCOUNTS,
        mailbox=MAILBOXES,
        sizes=st.lists(st.integers(0, 30), max_size=4),
        flags=LETTERS,
        limits=LIMITS,
    )
    def add(self, account: str, mailbox: int, sizes: list[int], flags: str, limits: Limits) -> None:
        messages = [self._new(size, flags) for size in sizes]
        self._both(lambda r: r.add(account, mailbox, messages, limits))

    @rule(where=st.lists(st.tuples(ACCOUNTS, MAILBOXES, st.integers(0, 30), LIMITS), max_size=4))
    def place(self, where: list[tuple[str, int, int, Limits]]) -> None:
        placements = [Placement(account, mailbox, self._new(size), limits) for account, mailbox, size, limits in where]
        by_account = sorted(placements, key=lambda p: (p.account, p.mailbox))
        self._both(lambda r: [r.place([placement]) for placement in by_account])

    @rule(account=ACCOUNTS, mailbox=MAILBOXES, known=st.integers(0, 40), uid=st.integers(0, 12), info=LETTERS)
    def adopt(self, account: str, mailbox: int, known: int, uid: int, info: str) -> None:
        known = min(known, self._number)  # names that come later are unique
        messages = [NewMessage(f"k{known}", 3, 4, 1.0, name=f"k{known}", info=info, uid=uid), self._new(2, uid=uid)]
        self._both(lambda r: r.adopt(account, mailbox, messages))

    @rule(account=ACCOUNTS, mailbox=MAILBOXES, into=MAILBOXES, uids=UIDS, limits=LIMITS, is_move=st.booleans())
    def transfer(
        self, account: str, mailbox: int, into: int, uids: frozenset[int], limits: Limits, is_move: bool
    ) -> None:
        self._number += 1
        ukeys = {uid: f"t{self._number}.{uid}" for uid in uids if uid != 5}
        if is_move:
            self._both(lambda r: r.move(account, mailbox, uids, into, ukeys))
        else:
            self._both(lambda r: r.copy(account, mailbox, uids, into, ukeys, limits))

    @rule(
        account=ACCOUNTS, mailbox=MAILBOXES, uids=UIDS, mode=st.sampled_from(["add", "remove", "replace"]), letters=LETTERS,
        words=WORDS, since=st.none() | st.integers(0, 20),
    )  # fmt: skip
    def store(
        self, account: str, mailbox: int, uids: frozenset[int], mode: Any, letters: str, words: str, since: int | None
    ) -> None:
        self._both(lambda r: r.store_flags(account, mailbox, uids, mode, letters, words, since))

    @rule(
        account=ACCOUNTS, mailbox=MAILBOXES, uids=UIDS, mode=st.sampled_from(["add", "remove", "replace"]), letters=LETTERS,
        within=st.none() | LETTERS, since=st.none() | st.integers(0, 20), reader=READERS,
    )  # fmt: skip
    def store_for(
        self, account: str, mailbox: int, uids: frozenset[int], mode: Any, letters: str, within: str | None, since: int | None,
        reader: str,
    ) -> None:  # fmt: skip
        self._both(lambda r: r.store_flags(account, mailbox, uids, mode, letters, "", since, within, reader=reader))
        self._both(lambda r: r.seen_by(account, mailbox, uids, reader))

    @rule(account=ACCOUNTS, mailbox=MAILBOXES, into=MAILBOXES, uids=UIDS, to=st.integers(0, 9))
    def copy_seen(self, account: str, mailbox: int, into: int, uids: frozenset[int], to: int) -> None:
        self._both(lambda r: r.copy_seen(account, mailbox, into, [(uid, uid + to) for uid in uids]))

    @rule(account=ACCOUNTS, mailbox=MAILBOXES, uids=UIDS, reader=READERS, is_seen=st.booleans())
    def restore_seen(self, account: str, mailbox: int, uids: frozenset[int], reader: str, is_seen: bool) -> None:
        self._both(lambda r: r.restore_seen(account, mailbox, [(uid, reader, is_seen) for uid in sorted(uids)]))

    @rule(account=ACCOUNTS, mailbox=MAILBOXES, uids=UIDS, info=LETTERS)
    def rename_files(self, account: str, mailbox: int, uids: frozenset[int], info: str) -> None:
        self._both(lambda r: r.take_info(account, mailbox, {uid: (f"n{uid}", info) for uid in uids}))

    @rule(account=ACCOUNTS, mailbox=MAILBOXES, uids=UIDS, is_clean=st.booleans())
    def expunge(self, account: str, mailbox: int, uids: frozenset[int], is_clean: bool) -> None:
        self._both(lambda r: r.expunge(account, mailbox, uids))
        if is_clean:
            self._both(lambda r: r.files_gone(account, mailbox, uids))

    @rule(account=ACCOUNTS, mailbox=MAILBOXES, keep=st.integers(0, 3), before=st.sampled_from([0.0, 1e12]))
    def prune(self, account: str, mailbox: int, keep: int, before: float) -> None:
        self._both(lambda r: r.prune(account, mailbox, before, keep))

    @invariant()
    def all_is_the_same(self) -> None:
        for account in ("a", "b"):
            self._both(lambda r, account=account: r.account(account))
            self._both(lambda r, account=account: r.mailboxes(account))
            self._both(lambda r, account=account: r.recount(account, fix=True))  # counts are right at every moment
            for row in self._model.mailboxes(account):
                for name in ("messages", "files", "leftovers", "counts", "tombstone_floor"):
                    self._both(lambda r, name=name, row=row, account=account: getattr(r, name)(account, row.id))
                self._both(lambda r, row=row, account=account: r.expunged(account, row.id, 0))
                for since in (0, row.highestmodseq // 2):
                    self._both(
                        lambda r, row=row, account=account, since=since: sorted(r.seen_since(account, row.id, since))
                    )
                    for reader in ("u", "v", ""):
                        self._both(
                            lambda r, row=row, account=account, since=since, reader=reader: r.outline(
                                account, row.id, after_modseq=since, reader=reader
                            )
                        )
                self._both(lambda r, row=row, account=account: [r.unseen(account, row.id, reader) for reader in "uv"])


Histories.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestHistories = Histories.TestCase
