"""The exclusive lock on a maildrop (RFC 1939 4): one row an account, with a lease."""

from __future__ import annotations

from gateway.store.sqlite.base import Base


class MaildropLocks(Base):
    """Part of SqliteRepository."""

    def lock_maildrop(self, account: str, owner: str, now: float, until: float) -> bool:
        with self._shard(account).transaction() as db:
            return (
                db.execute(
                    "INSERT INTO maildrop_lock VALUES (?,?,?) ON CONFLICT (account) DO UPDATE "
                    "SET owner=excluded.owner, until=excluded.until WHERE until<=? OR owner=excluded.owner",
                    (account, owner, until, now),
                ).rowcount
                == 1
            )

    def unlock_maildrop(self, account: str, owner: str) -> None:
        with self._shard(account).transaction() as db:
            db.execute("DELETE FROM maildrop_lock WHERE account=? AND owner=?", (account, owner))
