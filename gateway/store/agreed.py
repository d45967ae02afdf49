"""What a look has proven of a mailbox, so that the next one reads only the rows that changed since. Pure.

After a look that found nothing to do, cur/ held exactly the files of the index. A later listing that is these
files and those of messages placed since needs no other row read: names are compared as the sum of their hashes,
which takes the same memory for every mailbox. Whatever does not add up is left to a look at every row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from gateway.store.repository import MailboxRow

#: a row as `Repository.files` gives it: (UID, ukey, name up to `:`, letters, is expunged)
FileRow: TypeAlias = tuple[int, str, str, str, bool]

AGREED_SECONDS = 600.0  # so long the next looks may build on one that read every row


@dataclass(frozen=True, slots=True)
class Agreed:
    """Cur/ and the index agreed about all messages below UID `uidnext`, as of `modseq`.

    `files` of them there were, `names` is the sum of the hashes of their names; `since` is when every row was
    read last, by the monotonic clock.
    """

    uidvalidity: int
    uidnext: int
    modseq: int
    files: int
    names: int
    since: float

    def may_hold(self, row: MailboxRow, now: float) -> bool:
        """False when it is too old, or numbers have gone back: the index is another one."""
        return (
            now - self.since < AGREED_SECONDS
            and row.uidvalidity == self.uidvalidity
            and row.uidnext >= self.uidnext
            and row.highestmodseq >= self.modseq
        )

    def after(
        self, row: MailboxRow, cur: Sequence[str], messages: int, changed: Iterable[FileRow]
    ) -> tuple[Agreed, list[FileRow]] | None:
        """What is agreed now, and the new messages whose files the listing does not show; None: read every row.

        `row` was read before cur/ was listed, `messages`, how many there are, and `changed`, every row with a
        greater MODSEQ, tombstones too, were read after it, in this order.
        """
        listed = set(cur)
        later: list[str] = []
        placed = files = names = 0
        absent: list[FileRow] = []
        for message in changed:
            uid, _, name, info, is_expunged = message
            if is_expunged:
                return None
            file = f"{name}:2,{info}"
            if uid < self.uidnext:
                if file not in listed:
                    return None
                continue
            placed += 1
            if file not in listed:
                absent.append(message)
            elif uid < row.uidnext:
                files += 1
                names += hash(file)
            else:
                later.append(file)
        files, names = self.files + files, self.names + names
        if messages != self.files + placed or len(cur) != files + len(later):
            return None
        if sum(map(hash, cur)) != names + sum(map(hash, later)):
            return None
        if absent:  # their rows have to be read again
            return self, absent
        return replace(self, uidnext=row.uidnext, modseq=row.highestmodseq, files=files, names=names), absent


def agreed_on(row: MailboxRow, cur: Sequence[str], later: Sequence[str], now: float) -> Agreed:
    """What a look proves that found in cur/ exactly the file of each message under its name in the index.

    `later` are those of messages that `row`, read before the listing, does not count yet.
    """
    names = sum(map(hash, cur)) - sum(map(hash, later))
    return Agreed(row.uidvalidity, row.uidnext, row.highestmodseq, len(cur) - len(later), names, now)
