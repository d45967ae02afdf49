"""The agent's side of the local copy: applies what the tracker tells, through the deletion brake.

One process. A refresh is staged in table `seen` and takes effect in one transaction when it is complete;
live changes are one transaction a batch. Everything is on disk on return.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import lmdb
import msgspec

from directory import brake
from directory.model import Condition, Deferred
from directory.profile import Keys, Profile
from directory.raw import RawEntry, canonical_dn, kept, parent_dn
from directory.replica_environment import FORMAT, Environment, decode_entry, encode_entry, index_key
from directory.tracker.port import Change

if TYPE_CHECKING:
    from directory.replica import ReplicaReader

_PRESENT, _GONE = b"", b"-"
MAX_UNKNOWN = 1000  # one is enough to ask for a full refresh


class _Removed(msgspec.Struct, array_like=True):
    """One row of `recent`: what an entry was before it was removed or lost its addresses."""

    at: float
    category: str
    before: RawEntry


@dataclass(frozen=True, slots=True)
class _Loss:
    """An entry about to vanish, or (`after`) to stop being what it was."""

    id: str
    category: str
    domains: tuple[str, ...]
    after: RawEntry | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a refresh did. `unknown`: ids that exist in the directory and not, or only held, in the copy."""

    changed: int = 0
    removed: int = 0
    held: int = 0
    #: the copy proves nothing now
    braked: bool = False
    unknown: frozenset[str] = frozenset()


_encode_removed = msgspec.msgpack.Encoder().encode
_decode_removed = msgspec.msgpack.Decoder(_Removed).decode
_Losses: TypeAlias = list[_Loss]


def _note_move(moved: dict[str, str], before: RawEntry | None, after: RawEntry) -> None:
    if before is not None and before.dn != after.dn:
        old, new = canonical_dn(before.dn), canonical_dn(after.dn)
        if old != new:
            moved[old] = new


class ReplicaWriter:
    """Thread-safe. `scope` names what is followed (base, source): a cookie of another scope is not used."""

    def __init__(
        self,
        path: Path,
        profile: Profile,
        *,
        scope: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:
        path.mkdir(mode=0o770, parents=True, exist_ok=True)
        self._db = Environment(path, readonly=False)
        self._profile = profile
        self._scope = scope.encode()
        self._now = now
        self._lock = threading.Lock()
        self._comparing: set[str] | None = None
        self._db.env.reader_check()
        with self._begin() as txn:
            found = txn.get(b"format", db=self._db.meta)
            if found is not None and int(found) > int(FORMAT):
                raise Deferred(
                    Condition.DIRECTORY_UNAVAILABLE,
                    f"replica {path} was written by a newer version (format {bytes(found).decode()}); "
                    "remove the folder, it is rebuilt from the directory",
                )
            if found != FORMAT:
                for table in (self._db.entry, self._db.held, self._db.recent, self._db.seen, self._db.meta):
                    txn.drop(table, delete=False)
            txn.put(b"format", FORMAT, db=self._db.meta)
            if self._db.state(txn).profile != profile.fingerprint:
                self._rebuild_indexes(txn)

    def _begin(self) -> lmdb.Transaction:
        return self._db.env.begin(write=True)

    def reader(self) -> ReplicaReader:
        """Read access in the agent's own process (LMDB opens an environment once a process)."""
        from directory.replica import ReplicaReader  # here: the reader's module re-exports this one

        return ReplicaReader(self._db)

    def cookie(self) -> bytes | None:
        """Where the tracker left off, None when there is no complete copy of this scope."""
        with self._db.env.begin(db=self._db.meta) as txn:
            if not self._db.state(txn).complete or txn.get(b"scope") != self._scope:
                return None
            return txn.get(b"cookie")

    def counts(self) -> dict[str, int]:
        """Entries by the brake's categories."""
        with self._db.env.begin(db=self._db.meta) as txn:
            return dict(self._counts(txn))

    # -- one entry ---------------------------------------------------------------------------------------

    def _counts(self, txn: lmdb.Transaction) -> Counter[str]:
        return Counter(self._db.counts(txn))

    @staticmethod
    def _index_keys(raw: RawEntry, keys: Keys) -> dict[str, tuple[str, ...]]:
        return {
            "address": keys.addresses,
            "login": keys.logins,
            "domain": keys.domains,
            "member": keys.members,
            "access": keys.access,
            "dn": (canonical_dn(raw.dn),),
        }

    def _rebuild_indexes(self, txn: lmdb.Transaction) -> None:
        """Another profile finds entries under other keys."""
        for table in self._db.index.values():
            txn.drop(table, delete=False)
        counts: Counter[str] = Counter()
        for _, value in txn.cursor(db=self._db.entry):
            raw = decode_entry(value)
            keys = self._profile.keys(raw)
            self._add_keys(txn, raw, keys)
            counts.update(brake.count((keys.kind,)))
        state = self._db.state(txn)
        state.profile = self._profile.fingerprint
        self._db.put_state(txn, state)
        self._finish(txn, counts, changed=True)

    def _add_keys(self, txn: lmdb.Transaction, raw: RawEntry, keys: Keys) -> None:
        for index, values in self._index_keys(raw, keys).items():
            for value in values:
                txn.put(index_key(value), raw.id.encode(), db=self._db.index[index], dupdata=True)

    def _get(self, txn: lmdb.Transaction, entry_id: str) -> RawEntry | None:
        value = txn.get(entry_id.encode(), db=self._db.entry)
        return decode_entry(value) if value is not None else None

    def _remove(self, txn: lmdb.Transaction, counts: Counter[str], entry_id: str) -> bool:
        raw = self._get(txn, entry_id)
        if raw is None:
            return False
        keys = self._profile.keys(raw)
        for index, values in self._index_keys(raw, keys).items():
            for value in values:
                txn.delete(index_key(value), entry_id.encode(), db=self._db.index[index])
        txn.delete(entry_id.encode(), db=self._db.entry)
        counts.subtract(brake.count((keys.kind,)))
        return True

    def _put(self, txn: lmdb.Transaction, counts: Counter[str], raw: RawEntry) -> None:
        self._remove(txn, counts, raw.id)
        keys = self._profile.keys(raw)
        txn.put(raw.id.encode(), encode_entry(raw), db=self._db.entry)
        self._add_keys(txn, raw, keys)
        counts.update(brake.count((keys.kind,)))

    def _loss(self, before: RawEntry, after: RawEntry | None) -> _Loss | None:
        """The loss when `before` becomes `after`; None when the entry stays what it is.

        An access rule can also hide single attributes: an account without its addresses is lost, too.
        """
        old = self._profile.keys(before)
        category = brake.CATEGORY.get(old.kind or "", "") if brake.is_counted(before.dn) else ""
        if after is not None:
            new = self._profile.keys(after)
            if not category or (
                brake.CATEGORY.get(new.kind or "") is not None
                and bool(new.addresses) >= bool(old.addresses)
                and bool(new.domains) >= bool(old.domains)
            ):
                return None
        return _Loss(before.id, category, old.domains, after)

    # -- the brake ---------------------------------------------------------------------------------------

    def _recent(self, txn: lmdb.Transaction) -> Counter[str]:
        """What went within the window; older rows are dropped."""
        limit, found, old = self._now() - brake.WINDOW_SECONDS, Counter[str](), []
        for key, value in txn.cursor(db=self._db.recent):
            row = _decode_removed(value)
            if row.at < limit:
                old.append(bytes(key))
            else:
                found[row.category] += 1
        for key in old:
            txn.delete(key, db=self._db.recent)
        return found

    def _addresses_in(self, txn: lmdb.Transaction, domain: str, losing: set[str]) -> int:
        end, found = b"@" + domain.encode(), 0
        for key, entry_id in txn.cursor(db=self._db.index["address"]):
            if bytes(key).endswith(end) and bytes(entry_id).decode() not in losing:
                found += 1
        return found

    def _judge(self, txn: lmdb.Transaction, counts: Counter[str], losses: _Losses) -> str:
        reason = brake.judge(Counter(loss.category for loss in losses if loss.category), self._recent(txn), counts)
        if reason:
            return reason
        losing = {loss.id for loss in losses}
        for loss in losses:
            for domain in loss.domains:
                addresses = self._addresses_in(txn, domain, losing)
                if addresses:
                    return brake.orphaned(domain, addresses)
        return ""

    def _let_go(self, txn: lmdb.Transaction, counts: Counter[str], losses: _Losses) -> None:
        for loss in losses:
            before = self._get(txn, loss.id)
            if before is not None and loss.category:
                row = _Removed(self._now(), loss.category, before)
                txn.put(loss.id.encode(), _encode_removed(row), db=self._db.recent)
            if loss.after is not None:
                self._put(txn, counts, loss.after)
            else:
                self._remove(txn, counts, loss.id)
            txn.delete(loss.id.encode(), db=self._db.held)

    def _hold(self, txn: lmdb.Transaction, counts: Counter[str], losses: _Losses, reason: str) -> None:
        """Keep what would go, and bring back what went within the window: it belongs to the same mishap."""
        for key, value in list(txn.cursor(db=self._db.recent)):
            self._put(txn, counts, _decode_removed(value).before)
            txn.put(bytes(key), b"1", db=self._db.held)
        txn.drop(self._db.recent, delete=False)
        for loss in losses:
            txn.put(loss.id.encode(), b"1", db=self._db.held)
        txn.put(b"reason", reason.encode(), db=self._db.meta)

    def _any_held(self, txn: lmdb.Transaction) -> bool:
        return bool(txn.cursor(db=self._db.held).first())

    def _finish(self, txn: lmdb.Transaction, counts: Counter[str], *, changed: bool) -> None:
        """Counts, state and the brake's words at the end of a transaction."""
        self._db.put_counts(txn, dict(+counts))
        state = self._db.state(txn)
        if self._any_held(txn):
            state.braked = bytes(txn.get(b"reason", db=self._db.meta) or b"").decode()
        else:
            state.braked = brake.empty_copy(counts, bool(self._profile.static_domains)) if state.complete else ""
            if not state.braked:
                txn.delete(b"accepted", db=self._db.meta)
            elif txn.get(b"accepted", db=self._db.meta):
                state.braked = ""
        state.generation += changed
        self._db.put_state(txn, state)

    def accept_deletions(self) -> int:
        """An administrator agrees: what is held goes, an empty directory counts. Returns how many went."""
        with self._lock, self._begin() as txn:
            counts = self._counts(txn)
            ids = [bytes(key).decode() for key, _ in txn.cursor(db=self._db.held)]
            for entry_id in ids:
                self._remove(txn, counts, entry_id)
            txn.drop(self._db.held, delete=False)
            txn.drop(self._db.recent, delete=False)
            txn.put(b"accepted", b"1", db=self._db.meta)
            self._finish(txn, counts, changed=True)
        return len(ids)

    # -- live --------------------------------------------------------------------------------------------

    def apply(self, changes: Iterable[Change], cookie: bytes | None = None) -> bool:
        """Live changes, in one transaction. True when the brake held some back."""
        latest: dict[str, Change] = {}
        for change in changes:
            latest.pop(change.id, None)  # the place of the last change counts, not of the first
            latest[change.id] = change
        order = {entry_id: number for number, entry_id in enumerate(latest)}
        branch: dict[str, int] = {}  # DN before a move -> its place
        with self._lock, self._begin() as txn:
            counts = self._counts(txn)
            losses: _Losses = []
            moved: dict[str, str] = {}
            seen = False
            for change in latest.values():
                if self._comparing is not None:
                    self._comparing.add(change.id)
                before = self._get(txn, change.id)
                after = change.entry
                if after is not None:
                    after = RawEntry(after.id, after.dn, kept(after.attributes))
                if before is not None and (loss := self._loss(before, after)) is not None:
                    losses.append(loss)
                elif after is not None:
                    _note_move(moved, before, after)
                    if before is not None:
                        branch[canonical_dn(before.dn)] = order[change.id]
                    seen = txn.delete(after.id.encode(), db=self._db.held) or seen or self._is_seen(before, after)
                    self._put(txn, counts, after)
                    txn.delete(after.id.encode(), db=self._db.recent)
            # whoever was told of before the branch moved has the branch's old name and moves along
            self._move_below(txn, counts, moved, lambda entry, above: order.get(entry, -1) > branch[above])
            held = self._settle(txn, counts, losses)
            if cookie is not None:
                txn.put(b"cookie", cookie, db=self._db.meta)
            self._finish(txn, counts, changed=seen or bool(losses or moved))
        return held

    def _is_seen(self, before: RawEntry | None, after: RawEntry) -> bool:
        """False when nothing that readers remember depends on the change: a server that notes each login in the
        entry must not make all workers forget everything each time."""
        if before is None or before.dn != after.dn:
            return True
        ignored = self._profile.bookkeeping
        return {name: values for name, values in before.attributes.items() if name not in ignored} != {
            name: values for name, values in after.attributes.items() if name not in ignored
        }

    def _move_below(
        self, txn: lmdb.Transaction, counts: Counter[str], moved: dict[str, str], told: Callable[[str, str], bool]
    ) -> None:
        """Servers tell of an entry that moved, not of those below it: they move along.

        `moved`: canonical DN before -> after; `told(id, branch)`: whether the entry came with its own DN
        since that branch moved.
        """
        if not moved:
            return
        below = []
        for key, value in txn.cursor(db=self._db.index["dn"]):
            dn = above = bytes(key).decode("utf-8", "surrogateescape")
            while (above := parent_dn(above)) and above not in moved:
                pass
            if above and not told(bytes(value).decode(), above):
                below.append((bytes(value).decode(), dn.removesuffix(above) + moved[above]))
        for entry_id, dn in below:
            raw = self._get(txn, entry_id)
            if raw is not None:
                self._put(txn, counts, RawEntry(raw.id, dn, raw.attributes))

    def _settle(self, txn: lmdb.Transaction, counts: Counter[str], losses: _Losses) -> bool:
        """Let the losses go or hold them; while the brake is on, everything joins it. True = held."""
        if not losses:
            return False
        if self._any_held(txn):
            reason = bytes(txn.get(b"reason", db=self._db.meta) or b"").decode()
        else:
            reason = self._judge(txn, counts, losses)
        if reason:
            self._hold(txn, counts, losses, reason)
            return True
        self._let_go(txn, counts, losses)
        return False

    def proven_fresh(self, at: float, cookie: bytes | None = None) -> None:
        """The tracker has proof that the copy equals the directory as of unix time `at`."""
        with self._lock, self._begin() as txn:
            state = self._db.state(txn)
            if state.complete:
                state.fresh_at, state.trouble = at, ""
                self._db.put_state(txn, state)
                if cookie is not None:
                    txn.put(b"cookie", cookie, db=self._db.meta)

    def note_trouble(self, text: str) -> None:
        """Why the directory cannot be followed now; shown by `status`."""
        with self._lock, self._begin() as txn:
            state = self._db.state(txn)
            if state.trouble != text:
                state.trouble = text
                self._db.put_state(txn, state)

    # -- refresh -----------------------------------------------------------------------------------------

    def begin_refresh(self) -> None:
        """Forget what an unfinished refresh told."""
        with self._lock, self._begin() as txn:
            txn.drop(self._db.seen, delete=False)
            self._comparing = set()

    def stage(self, entries: Iterable[RawEntry], present: Iterable[str] = (), deleted: Iterable[str] = ()) -> None:
        """Part of a refresh; nothing of it is seen before `finish_refresh`."""
        with self._lock, self._begin() as txn:
            for raw in entries:
                value = encode_entry(RawEntry(raw.id, raw.dn, kept(raw.attributes)))
                same = txn.get(raw.id.encode(), db=self._db.entry) == value
                txn.put(raw.id.encode(), _PRESENT if same else value, db=self._db.seen)
            for entry_id in present:
                txn.put(entry_id.encode(), _PRESENT, db=self._db.seen, overwrite=False)
            for entry_id in deleted:
                txn.put(entry_id.encode(), _GONE, db=self._db.seen)

    def _absent(self, txn: lmdb.Transaction, exempt: set[str]) -> Iterator[_Loss]:
        for key, value in txn.cursor(db=self._db.entry):
            if txn.get(bytes(key), db=self._db.seen) is None and bytes(key).decode() not in exempt:
                loss = self._loss(decode_entry(value), None)
                assert loss is not None
                yield loss

    def finish_refresh(self, cookie: bytes | None, *, by_presence: bool, only_ids: bool = False) -> Outcome:
        """The refresh is complete: it takes effect as a whole, or as far as the brake lets it."""
        with self._lock, self._begin() as txn:
            counts = self._counts(txn)
            touched = self._comparing or set()
            losses: _Losses = []
            unknown: set[str] = set()
            moved: dict[str, str] = {}
            told: set[str] = set()
            changed, held_before = 0, txn.stat(self._db.held)["entries"]
            for key, value in txn.cursor(db=self._db.seen):
                entry_id = bytes(key).decode()
                if entry_id in touched:
                    continue
                before = self._get(txn, entry_id)
                if bytes(value) == _PRESENT:
                    if before is None or (only_ids and txn.get(bytes(key), db=self._db.held)):
                        if len(unknown) < MAX_UNKNOWN:
                            unknown.add(entry_id)
                    elif not only_ids:
                        txn.delete(bytes(key), db=self._db.held)
                    continue
                after = None if bytes(value) == _GONE else decode_entry(value)
                if before is not None and (loss := self._loss(before, after)) is not None:
                    losses.append(loss)
                elif after is not None:
                    _note_move(moved, before, after)
                    self._put(txn, counts, after)
                    txn.delete(after.id.encode(), db=self._db.held)
                    txn.delete(after.id.encode(), db=self._db.recent)
                    told.add(after.id)
                    changed += 1
            if by_presence:
                losses.extend(self._absent(txn, touched))
                # judged anew, for presence tells everything that is gone; what returned is taken up by the
                # full refresh that follows a comparison
                for key in [bytes(key) for key, _ in txn.cursor(db=self._db.held)]:
                    if bytes(key).decode() not in unknown:
                        txn.delete(key, db=self._db.held)
            self._move_below(txn, counts, moved, lambda entry, above: entry in told)
            held = self._settle(txn, counts, losses)
            if not only_ids:
                state = self._db.state(txn)
                state.complete, state.trouble = True, ""
                self._db.put_state(txn, state)
                txn.put(b"scope", self._scope, db=self._db.meta)
                if cookie is not None:
                    txn.put(b"cookie", cookie, db=self._db.meta)
                else:
                    txn.delete(b"cookie", db=self._db.meta)
            txn.drop(self._db.seen, delete=False)
            holding = txn.stat(self._db.held)["entries"] != held_before
            self._finish(txn, counts, changed=bool(changed or losses or holding))
            self._comparing = None
            braked = bool(self._db.state(txn).braked)
        return Outcome(changed, 0 if held else len(losses), len(losses) if held else 0, braked, frozenset(unknown))

    def missing(self, ids: Iterable[str]) -> int:
        """How many of `ids` the copy has not, or only holds."""
        with self._db.env.begin() as txn:
            return sum(
                txn.get(entry_id.encode(), db=self._db.entry) is None
                or txn.get(entry_id.encode(), db=self._db.held) is not None
                for entry_id in ids
            )

    def reader_check(self) -> int:
        """Clear slots of dead readers; returns how many."""
        return int(self._db.env.reader_check())

    def close(self) -> None:
        self._db.env.close()
