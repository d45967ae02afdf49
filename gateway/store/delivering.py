"""Delivery: tmp/<base> on disk, one index transaction, rename to cur/, folder on disk.

A file whose row exists may still stand in tmp/ after a crash; reading looks there and adoption
finishes the rename. While the index is down mail goes to new/ and is adopted later.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from directory.model import Condition, Deferred, MailboxHolder, Refused
from gateway.files.durable import rename_unique, write_synced
from gateway.store.adopting import Adopting
from gateway.store.domain_use import domain_name
from gateway.store.errors import MailboxExists
from gateway.store.finding import Finder
from gateway.store.opening import trouble
from gateway.store.repository import INBOX, INBOX_ID, AccountRow, Limits, MailboxRow, MessageRow, NewMessage, Placement

READ_SIZE = 262_144
JUNK_USE = "\\Junk"
JUNK_NAME = "Junk"


_UNDECIDED = Deferred(Condition.BUG)  # stands for an outcome until it is there


@dataclass(frozen=True, slots=True)
class Target:
    """One recipient of a delivery."""

    holder: MailboxHolder
    recipient: str
    mailbox: str = INBOX
    #: it goes to the mailbox for junk, whatever `mailbox` says
    is_junk: bool = False


@dataclass(slots=True)
class _Way:
    """A target on its way: its folder, its unique name, its file in tmp/."""

    number: int
    target: Target
    folder: str
    ukey: str
    mailbox: int
    temporary: str = ""


#: a line end behind more than one CR, as some programs make it
_CRS_LF = re.compile(rb"(?<!\r)\r++\n")


class LfPieces:
    """Octets with CRLF turned into LF, counted on the way; also from a spooled file.

    Of several CRs before a LF none stays: what is stored has no CRLF, by which readers know files of other programs.
    """

    def __init__(self, source: Iterable[bytes] | Path) -> None:
        self._source = source
        self.size = 0
        self.crlf = 0

    def __iter__(self) -> Iterator[bytes]:
        held = 0  # CRs at the end of what came so far
        for piece in pieces_of(self._source) if isinstance(self._source, Path) else self._source:
            data = bytes(piece)
            if data.endswith(b"\r") or held:
                whole = data.rstrip(b"\r")
                if not whole:
                    held += len(data)
                    continue
                before, held = held, len(data) - len(whole)
                data = whole
                if before and not data.lstrip(b"\r").startswith(b"\n"):
                    data = b"\r" * before + data
            yield self._count(data)
        for at in range(0, held, READ_SIZE):
            yield self._count(b"\r" * min(READ_SIZE, held - at))

    def _count(self, data: bytes) -> bytes:
        data = data.replace(b"\r\n", b"\n")
        if b"\r\n" in data:
            data = _CRS_LF.sub(b"\n", data)
        self.size += len(data)
        self.crlf += len(data) + data.count(b"\n")
        return data


def pieces_of(path: Path | str) -> Iterator[bytes]:
    """The octets of a file. Raises OSError."""
    with open(path, "rb") as file:
        while data := file.read(READ_SIZE):
            yield data


class Delivering(Adopting):
    """Part of Stores."""

    def deliver(
        self, holder: MailboxHolder, pieces: Iterable[bytes], size: int, crlf: int, recipient: str
    ) -> tuple[int, int]:
        """Deliver one message into INBOX, durable on return: (UID, MODSEQ), (0, 0) when it will be
        indexed later. Raises Deferred, Refused."""
        (outcome,) = self.deliver_many([Target(holder, recipient)], pieces, size, crlf)
        if isinstance(outcome, MessageRow):
            return outcome.uid, outcome.modseq
        raise outcome

    def deliver_many(
        self, targets: Sequence[Target], pieces: Iterable[bytes], size: int, crlf: int
    ) -> list[MessageRow | Deferred | Refused]:
        """Deliver one message to many, each for itself: its row or why not. Durable on return.

        One file a volume is written and synced, the others are links to it. `size` and `crlf` count
        the octets stored and on the wire; the pieces have LF line ends. A row with UID 0 stands for
        a message that the index will get later.
        """
        outcomes: list[MessageRow | Deferred | Refused] = [_UNDECIDED] * len(targets)
        ways: list[_Way] = []
        opened: dict[str, AccountRow | Deferred] = {}
        if self.has_index and len(targets) > 1:
            opened = self.open_all(t.holder for t in targets if not self._is_down(self.volume_name(t.holder)))
        for number, target in enumerate(targets):
            try:
                ways.append(self._way(number, target, opened.get(target.holder.id)))
            except (Deferred, Refused) as error:
                outcomes[number] = error
        content = pieces if isinstance(pieces, Sequence) else list(pieces)
        now = time.time()
        groups: dict[str, list[_Way]] = {}
        for way in ways:
            groups.setdefault(self.volume_name(way.target.holder) if len(ways) > 1 else "", []).append(way)
        for group in groups.values():
            self._deliver_group(group, content, size, crlf, now, outcomes)
        for way in ways:
            outcome = outcomes[way.number]
            if isinstance(outcome, MessageRow):
                self.added(way.target.holder, size, outcome.used)
        return outcomes

    def _way(self, number: int, target: Target, opened: AccountRow | Deferred | None) -> _Way:
        holder = target.holder
        self.check_up(holder)
        if not self.has_index:
            return _Way(number, target, self.open_without_index(holder), self._unique(), 0)
        try:
            if isinstance(opened, Deferred):
                raise opened
            maildir = (opened or self.open(holder)).path
            mailbox = INBOX_ID
            folder = maildir
            if target.is_junk:
                row = self._junk(holder, maildir)
                mailbox, folder = row.id, self._folder(maildir, row)
            elif target.mailbox != INBOX:
                self.furnish(holder, maildir)
                named = self.repository.mailbox(holder.id, target.mailbox)
                if named is not None:
                    mailbox, folder = named.id, self._folder(maildir, named)
        except Deferred as error:
            if error.condition is not Condition.STORE_UNAVAILABLE:
                raise
            # while the index is down only a store that is known to be this holder's takes mail
            maildir, _ = self._computed_path(holder)
            with trouble(maildir):
                if not self._check_owner(holder, maildir):
                    raise
            mailbox, folder = 0, maildir
        return _Way(number, target, folder, self._unique(), mailbox)

    def _junk(self, holder: MailboxHolder, maildir: str) -> MailboxRow:
        """The mailbox for junk (RFC 6154 2), or the one called Junk; made where there is none. Raises Deferred."""
        self.furnish(holder, maildir)
        for _ in range(2):
            rows = self.repository.mailboxes(holder.id)
            for row in rows:
                if row.special_use == JUNK_USE:
                    return row
            for row in rows:
                if row.name == JUNK_NAME:
                    return row
            try:
                return self._make(holder.id, maildir, JUNK_NAME, JUNK_USE)
            except MailboxExists:
                continue  # another delivery was faster
        raise Deferred(Condition.STORE_UNAVAILABLE, f"{holder.dn}: no mailbox for junk")

    def _deliver_group(
        self,
        ways: list[_Way],
        content: Sequence[bytes],
        size: int,
        crlf: int,
        now: float,
        outcomes: list[MessageRow | Deferred | Refused],
    ) -> None:
        """Targets on one volume."""
        written = ""
        ready: list[_Way] = []
        for way in ways:
            temporary = f"{way.folder}/tmp/{way.ukey}"
            try:
                with trouble(temporary):
                    if written:
                        os.link(written, temporary)
                    else:
                        write_synced(temporary, content, now, sync=self.commit_of(way.folder).file)
                        written = temporary
            except Deferred as error:
                outcomes[way.number] = error
                continue
            way.temporary = temporary
            ready.append(way)
        self._place(ready, size, crlf, now, outcomes)

    def _place(
        self, ways: list[_Way], size: int, crlf: int, now: float, outcomes: list[MessageRow | Deferred | Refused]
    ) -> None:
        indexed = [way for way in ways if way.mailbox]
        rows: list[MessageRow | Deferred | Refused] = []
        if indexed:
            try:
                rows = self.repository.place(
                    [
                        Placement(
                            w.target.holder.id,
                            w.mailbox,
                            NewMessage(w.ukey, size, crlf, now, w.target.recipient),
                            bound,
                        )
                        for w, bound in zip(indexed, self._bounds(indexed, size), strict=True)
                    ]
                )
            except Deferred as error:
                rows = [error] * len(indexed)
        answer = dict(zip((way.number for way in indexed), rows, strict=True))
        folders: list[str] = []
        named: list[_Way] = []
        for way in ways:
            row = answer.get(way.number)
            try:
                if isinstance(row, Refused):
                    os.unlink(way.temporary)
                    outcomes[way.number] = row
                    continue
                if isinstance(row, MessageRow):
                    folder, name = "cur", f"{row.name}:2,"
                else:
                    folder, name = "new", f"{way.ukey},S={size},W={crlf}"
                    row = MessageRow(0, 0, "", "", size, crlf, now, now, way.ukey, name, way.target.recipient)
                folder = f"{way.folder}/{folder}"
                self._give_name(way.target.holder.id, way.mailbox, row.uid, way.temporary, f"{folder}/{name}")
                folders.append(folder)
                outcomes[way.number] = row
                named.append(way)
            except OSError as error:
                outcomes[way.number] = self._undo(way, row, error)
        if folders:
            try:
                self.commit_of(folders[0]).folders(folders)
            except (OSError, Deferred) as error:
                # which names reached the disk is not known: none is answered for
                for way in named:
                    outcomes[way.number] = Deferred(Condition.STORE_UNAVAILABLE, f"{way.folder}: {error}")
        changes = []
        for way in named:
            outcome = outcomes[way.number]
            if isinstance(outcome, MessageRow) and outcome.uid:
                changes.append((way.target.holder.id, way.mailbox, outcome.modseq))
        self.changed_all(changes)

    def _bounds(self, ways: list[_Way], size: int) -> Iterator[Limits]:
        """The limits for each target of one message: what others of its domain get counts already."""
        claimed: dict[str, int] = {}
        for way in ways:
            bound = self.limits(way.target.holder)
            if bound.room is not None:
                name = domain_name(way.target.holder)
                bound = replace(bound, room=max(0, bound.room - claimed.get(name, 0)))
                claimed[name] = claimed.get(name, 0) + size
            yield bound

    def _give_name(self, account: str, mailbox: int, uid: int, source: str, target: str) -> None:
        """Rename the file of a message with a row. Raises OSError.

        That somebody has read and removed the message between its row and its name is no error: it was there. Nor is
        that a look at the mailbox, which found the row, has given the file its name.
        """
        try:
            rename_unique(source, target)
        except FileNotFoundError:
            if not uid or not (os.path.lexists(target) or self._is_expunged(account, mailbox, uid)):
                raise

    def _is_expunged(self, account: str, mailbox: int, uid: int) -> bool:
        """True when the index knows; False while it cannot say."""
        try:
            return self.repository.message(account, mailbox, uid) is None
        except Deferred:
            return False

    def _undo(self, way: _Way, row: MessageRow | Deferred | Refused | None, error: OSError) -> Deferred:
        """The file did not get its name: no row without file, no file that nobody answered for."""
        try:
            os.unlink(way.temporary)
            if isinstance(row, MessageRow):
                self.repository.expunge(way.target.holder.id, way.mailbox, [row.uid])
                self.repository.files_gone(way.target.holder.id, way.mailbox, [row.uid])
        except (OSError, Deferred):
            pass  # the sweep finds both
        return Deferred(Condition.STORE_UNAVAILABLE, f"{way.temporary}: {error}")

    def path_of(self, account: str, mailbox: MailboxRow, message: MessageRow) -> str:
        """Where the file of a message stands now. Raises Deferred; FileNotFoundError when it is gone."""
        folder = self._folder(self._maildir(account), mailbox)
        found: list[str] = []

        def look(path: str) -> None:
            os.lstat(path)
            found.append(path)

        with trouble(folder):
            if Finder(folder).do(message, look):
                return found[0]
        raise FileNotFoundError(message.name)
