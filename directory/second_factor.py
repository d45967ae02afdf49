"""Second factors of accounts: codes by time (TOTP, RFC 6238), passkeys, recovery codes. Kept in state.db, each account's
by the immutable id of its entry.

An account has a second factor when it has a TOTP secret or a passkey; recovery codes only stand in for those. A code
counts once: the time step of the last one is kept, a recovery code is deleted when it is used, both before the answer.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass

import pyotp

from directory.state import State

TOTP, PASSKEY, RECOVERY = "totp", "passkey", "recovery"
MAX_FACTORS = 10  # an account, recovery codes apart
MAX_NAME = 60  # characters
RECOVERY_CODES = 10
RECOVERY_OCTETS = 10  # 16 letters: no guess finds one
STEP_SECONDS = 30
DRIFT_STEPS = 1  # a telephone's clock may be wrong by so much
DIGITS = 6
ID_OCTETS = 5


@dataclass(frozen=True, slots=True)
class Factor:
    """One of an account; `secret` is the TOTP key or what a passkey's owner has registered. `counter` is the last time
    step, or how often a passkey was used as far as it counts."""

    id: str
    account: str
    kind: str
    name: str
    secret: bytes
    counter: int
    created: float
    used: float | None

    def __repr__(self) -> str:
        return f"Factor({self.kind} {self.id} of {self.account})"


def new_key() -> str:
    """A TOTP key as authenticator programs take it (base32)."""
    return pyotp.random_base32()


def matching_step(key: str, code: str, now: float) -> int | None:
    """The time step that `code` is right for, None for a wrong one."""
    wanted = code.replace(" ", "")
    if len(wanted) != DIGITS or not (wanted.isascii() and wanted.isdigit()):
        return None
    totp, step = pyotp.TOTP(key, digits=DIGITS, interval=STEP_SECONDS), int(now // STEP_SECONDS)
    found = None
    for near in range(step - DRIFT_STEPS, step + DRIFT_STEPS + 1):
        if secrets.compare_digest(totp.generate_otp(near), wanted):
            found = near
    return found


def _text(octets: int) -> str:
    return base64.b32encode(secrets.token_bytes(octets)).decode().rstrip("=").lower()


def _recovery_hash(code: str) -> bytes:
    return hashlib.sha256(code.replace("-", "").replace(" ", "").lower().encode("utf-8", "replace")).digest()


class Factors:
    """Thread-safe. Raises Deferred for trouble with state.db."""

    def __init__(self, state: State) -> None:
        self._state = state

    def enrolled(self, account: str) -> bool:
        """True when the account's password alone is not enough.

        A damaged state.db tells of nobody: logins go on as without it, and no session can be opened by browser.
        """
        return bool(
            self._state.rows("SELECT 1 FROM factor WHERE account=? AND kind IN (?,?) LIMIT 1", (account, TOTP, PASSKEY))
        )

    def of(self, account: str, *kinds: str) -> list[Factor]:
        """What an account has, oldest first; of these kinds when some are named."""
        self._state.check()
        rows = self._state.rows(
            "SELECT id, account, kind, name, secret, counter, created, used FROM factor WHERE account=? ORDER BY created",
            (account,),
        )
        found = (Factor(*row) for row in rows)
        return [factor for factor in found if not kinds or factor.kind in kinds]

    def add(self, account: str, kind: str, name: str, secret: bytes, counter: int, now: float) -> Factor:
        """Enrol one. Raises ValueError with what is wrong, for a person."""
        self._state.check()
        name = name.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise ValueError(f"a name of 1 to {MAX_NAME} printable characters is needed")
        factor = Factor(_text(ID_OCTETS), account, kind, name, secret, counter, now, None)
        with self._state.transaction() as db:
            held = db.execute("SELECT count(*) FROM factor WHERE account=? AND kind<>?", (account, RECOVERY)).fetchone()
            if held[0] >= MAX_FACTORS:
                raise ValueError(f"{MAX_FACTORS} second factors are there already; remove one first")
            db.execute(
                "INSERT INTO factor VALUES (?,?,?,?,?,?,?,NULL)",
                (factor.id, account, kind, name, secret, counter, now),
            )
        return factor

    def take_code(self, account: str, code: str, now: float) -> str:
        """The kind of second factor that `code` is, "" for a wrong one; it is good only once."""
        self._state.check()
        if len(code) > 100:
            return ""
        for factor in self.of(account, TOTP):
            step = matching_step(factor.secret.decode(), code, now)
            if step is not None and self._advance(factor, step, now):
                return TOTP
        with self._state.transaction() as db:
            gone = db.execute(
                "DELETE FROM factor WHERE account=? AND kind=? AND secret=?", (account, RECOVERY, _recovery_hash(code))
            ).rowcount
        return RECOVERY if gone else ""

    def _advance(self, factor: Factor, counter: int, now: float) -> bool:
        with self._state.transaction() as db:
            return bool(
                db.execute(
                    "UPDATE factor SET counter=?1, used=?2 WHERE id=?3 AND counter<?1", (counter, now, factor.id)
                ).rowcount
            )

    def used_passkey(self, factor: Factor, counter: int, now: float) -> bool:
        """Write down that a passkey was used; False for one that counts backwards: a copy of it is about (Web
        Authentication 6.1.1). Those that do not count say 0."""
        if counter == 0 and factor.counter == 0:
            with self._state.transaction() as db:
                return bool(db.execute("UPDATE factor SET used=? WHERE id=?", (now, factor.id)).rowcount)
        return self._advance(factor, counter, now)

    def recovery_codes(self, account: str, now: float) -> list[str]:
        """New codes in the place of those that are left; shown once and nowhere kept."""
        self._state.check()
        codes = [_text(RECOVERY_OCTETS) for _ in range(RECOVERY_CODES)]
        with self._state.transaction() as db:
            db.execute("DELETE FROM factor WHERE account=? AND kind=?", (account, RECOVERY))
            for code in codes:
                db.execute(
                    "INSERT INTO factor VALUES (?,?,?,'',?,0,?,NULL)",
                    (_text(ID_OCTETS), account, RECOVERY, _recovery_hash(code), now),
                )
        return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]

    def remove(self, account: str, factor_id: str | None = None) -> int:
        """Take one away, or all; with the last one its recovery codes go too. Answers how many there were."""
        self._state.check()
        with self._state.transaction() as db:
            gone = db.execute(
                "DELETE FROM factor WHERE account=?1 AND kind<>?2 AND (?3 IS NULL OR id=?3)",
                (account, RECOVERY, factor_id),
            ).rowcount
            left = db.execute("SELECT count(*) FROM factor WHERE account=? AND kind<>?", (account, RECOVERY)).fetchone()
            if not left[0]:
                db.execute("DELETE FROM factor WHERE account=?", (account,))
        return gone
