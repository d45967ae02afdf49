"""What the authenticator remembers of logins, in state.db: wrong passwords, where the right ones came from,
and verifiers that answer while the directory is down.

A wrong (account, password) pair is kept as a keyed hash, never as the password; the key lies in a file
beside, so a copy of the database alone tells nothing.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from directory.login_mark import LoginMark
from directory.state import State

DAY = 86_400.0
FAILED_SECONDS = DAY
FAILED_PER_ACCOUNT = 16
BUDGET_SECONDS = 900.0
TRUST_SECONDS = 30 * DAY
SOURCES_PER_ACCOUNT = 64
KEY_OCTETS = 32


def source_of(address: str) -> str:
    """What counts as one place: an IPv4 address, the /64 of an IPv6 address; "" for no address."""
    try:
        client = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(client, ipaddress.IPv6Address):
        if client.ipv4_mapped is not None:
            return str(client.ipv4_mapped)
        return str(ipaddress.ip_network((client, 64), strict=False).network_address) + "/64"
    return str(client)


def read_key(path: Path) -> bytes:
    """The key of the hashes, made when it is missing; one for this run only when the file cannot be used, which
    makes what earlier runs remembered unknown."""
    try:
        if not path.exists():
            temporary = path.with_suffix(".new")
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(secrets.token_bytes(KEY_OCTETS))
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(path)
        return path.read_bytes()
    except OSError:
        return secrets.token_bytes(KEY_OCTETS)


def pair_hash(key: bytes, account: str, password: str) -> bytes:
    """The hash under which a pair is known; the account is part of it, so no account answers for another."""
    name = account.encode("utf-8", "surrogateescape")
    return hmac.digest(key, b"%d:%s%s" % (len(name), name, password.encode()), "sha256")


@dataclass(frozen=True, slots=True)
class Verifier:
    """An argon2id verifier of a login that succeeded at `at`."""

    at: float
    verifier: str
    content: str
    version: str
    policy: bool

    def holds(self, mark: LoginMark, *, policy_visible: bool) -> bool:
        """True when the entry's password is still the one that was verified."""
        return mark.same_password(self.content, self.version, by_policy=self.policy and policy_visible)


@dataclass(frozen=True, slots=True)
class Failed:
    """A remembered wrong password, for a person to read."""

    at: float
    from_known_place: bool


class Memory:
    """Thread-safe."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._policy_visible = False

    def policy_visible(self, mark: LoginMark) -> bool:
        """True once any entry has shown what the server's password policy writes."""
        self._policy_visible = self._policy_visible or mark.shows_policy
        return self._policy_visible

    def is_wrong(self, account: str, pair: bytes, mark: LoginMark, now: float) -> bool:
        """True when this password was refused within 24 hours and the entry has not changed since."""
        rows = self._state.rows(
            "SELECT content, version, policy FROM failed WHERE account=? AND pair=? AND at>?",
            (account, pair, now - FAILED_SECONDS),
        )
        if not rows:
            return False
        content, version, policy = rows[0]
        return mark.same_password(content, version, by_policy=bool(policy) and self.policy_visible(mark))

    def failed(
        self, account: str, pair: bytes, mark: LoginMark, *, policy: bool, trusted: bool, keep: int, now: float
    ) -> None:
        """The directory refused this password. At most `keep` a account are remembered, the latest."""
        with self._state.transaction() as db:
            db.execute("DELETE FROM failed WHERE account=? AND at<=?", (account, now - FAILED_SECONDS))
            db.execute(
                "INSERT OR REPLACE INTO failed VALUES (?,?,?,?,?,?,?)",
                (account, pair, now, mark.content, mark.version, policy, trusted),
            )
            db.execute(
                "DELETE FROM failed WHERE account=?1 AND pair NOT IN "
                "(SELECT pair FROM failed WHERE account=?1 ORDER BY at DESC LIMIT ?2)",
                (account, keep),
            )

    def spent(self, account: str, now: float) -> int:
        """How many wrong passwords from unknown places reached the directory in the last 15 minutes."""
        return int(
            self._state.rows(
                "SELECT count(*) FROM failed WHERE account=? AND at>? AND NOT trusted", (account, now - BUDGET_SECONDS)
            )[0][0]
        )

    def remembered(self, account: str, now: float) -> list[Failed]:
        """Wrong passwords of an account that are remembered, oldest first."""
        rows = self._state.rows(
            "SELECT at, trusted FROM failed WHERE account=? AND at>? ORDER BY at", (account, now - FAILED_SECONDS)
        )
        return [Failed(at, bool(trusted)) for at, trusted in rows]

    def is_trusted(self, account: str, source: str, now: float) -> bool:
        """True when the account has logged in from there within 30 days."""
        return bool(
            self._state.rows(
                "SELECT 1 FROM trusted WHERE account=? AND source=? AND at>?", (account, source, now - TRUST_SECONDS)
            )
        )

    def places(self, account: str, now: float) -> list[tuple[str, float]]:
        """From where the account has logged in within 30 days, and when that was last written down; the newest first."""
        return self._state.rows(
            "SELECT source, at FROM trusted WHERE account=? AND at>? ORDER BY at DESC", (account, now - TRUST_SECONDS)
        )

    def has_success(self, source: str, now: float) -> bool:
        """True when anybody has logged in from there within 30 days."""
        return bool(
            self._state.rows("SELECT 1 FROM trusted WHERE source=? AND at>? LIMIT 1", (source, now - TRUST_SECONDS))
        )

    def succeeded(self, account: str, source: str, now: float) -> None:
        """A login succeeded from there; written once a day."""
        rows = self._state.rows("SELECT at FROM trusted WHERE account=? AND source=?", (account, source))
        if not source or (rows and now - rows[0][0] < DAY):
            return
        with self._state.transaction() as db:
            db.execute("INSERT OR REPLACE INTO trusted VALUES (?,?,?)", (account, source, now))
            db.execute(
                "DELETE FROM trusted WHERE account=?1 AND source NOT IN "
                "(SELECT source FROM trusted WHERE account=?1 ORDER BY at DESC LIMIT ?2)",
                (account, SOURCES_PER_ACCOUNT),
            )

    def verifier(self, account: str) -> Verifier | None:
        """The verifier of an account's last proven password."""
        rows = self._state.rows(
            "SELECT at, verifier, content, version, policy FROM verifier WHERE account=?", (account,)
        )
        if not rows:
            return None
        at, verifier, content, version, policy = rows[0]
        return Verifier(at, verifier, content, version, bool(policy))

    def keep_verifier(self, account: str, verifier: Verifier) -> None:
        """Replace an account's verifier."""
        with self._state.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO verifier VALUES (?,?,?,?,?,?)",
                (account, verifier.at, verifier.verifier, verifier.content, verifier.version, verifier.policy),
            )

    def sweep(self, now: float, grace: float) -> None:
        """Drop what has no effect any more, of entries that are gone too."""
        with self._state.transaction() as db:
            db.execute("DELETE FROM failed WHERE at<=?", (now - FAILED_SECONDS,))
            db.execute("DELETE FROM trusted WHERE at<=?", (now - TRUST_SECONDS,))
            db.execute("DELETE FROM verifier WHERE at<=?", (now - grace,))
            db.execute("DELETE FROM token WHERE expires IS NOT NULL AND expires<=?", (now,))

    def forget(self) -> None:
        """Drop remembered failures and verifiers of all accounts; known places stay."""
        with self._state.transaction() as db:
            db.execute("DELETE FROM failed")
            db.execute("DELETE FROM verifier")
