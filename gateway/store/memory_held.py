"""What the repository in memory holds of an account and of a mailbox."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gateway.store.repository import INBOX_ID, MailboxRow, MessageRow, NewMessage, lost_modseq


@dataclass
class HeldMailbox:
    """A mailbox with its messages, those that are gone, and what each reader has seen."""

    id: int
    name: str
    uidvalidity: int
    special_use: str = ""
    acl: str = ""
    metadata: str = ""
    uidnext: int = 1
    modseq: int = 1
    lost_from: int = 0
    floor: int = 0
    live: dict[int, MessageRow] = field(default_factory=dict)
    dead: dict[int, tuple[MessageRow, float]] = field(default_factory=dict)
    parsed: dict[tuple[int, int], bytes] = field(default_factory=dict)
    #: (reader, UID): (MODSEQ, is seen)
    readers: dict[tuple[str, int], tuple[int, bool]] = field(default_factory=dict)

    def row(self) -> MailboxRow:
        """As the repository tells of it."""
        return MailboxRow(
            self.id, self.name, self.uidvalidity, self.uidnext, self.modseq, self.special_use, self.acl, self.metadata
        )

    def begin_at(self, uidnext: int) -> None:
        """Begin behind what a lost index may have given; 0 = it is new."""
        if uidnext:
            self.uidnext, self.lost_from, self.modseq = uidnext, 1, lost_modseq()
            self.floor = self.modseq

    def ukeys(self) -> set[str]:
        """Of all files, those of expunged messages too."""
        return {row.ukey for row in self.live.values()} | {row.ukey for row, _ in self.dead.values()}

    def insert(self, message: NewMessage, uid: int, now: float) -> MessageRow:
        """Add a message under this UID, with the MODSEQ that holds now."""
        m = message
        name = m.file_name(uid)
        row = MessageRow(
            uid, self.modseq, m.flags, m.keywords, m.size, m.crlf, m.internaldate, now, m.ukey, name, m.recipient,
            m.info,
        )  # fmt: skip
        self.live[uid] = row
        self.uidnext = max(self.uidnext, uid + 1)
        return row

    def remove(self, uids: Iterable[int], now: float) -> list[MessageRow]:
        """Make tombstones of those that are there, and return them as they were."""
        rows = [self.live.pop(uid) for uid in sorted(set(uids)) if uid in self.live]
        if rows:
            self.modseq += 1
        for row in rows:
            self.dead[row.uid] = (replace(row, modseq=self.modseq, keywords="", recipient=""), now)
        return rows


@dataclass
class HeldAccount:
    """An account with its mailboxes and the numbers that the next one gets."""

    account: str
    path: str
    uidvalidity_next: int
    mailbox_next: int = INBOX_ID + 1
    mailboxes: dict[int, HeldMailbox] = field(default_factory=dict)

    def used(self) -> tuple[int, int]:
        """Octets and messages of all mailboxes."""
        rows = [row for mailbox in self.mailboxes.values() for row in mailbox.live.values()]
        return sum(row.size for row in rows), len(rows)
