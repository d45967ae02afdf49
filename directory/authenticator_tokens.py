"""Passwords that Gatepost made itself: app passwords (`gpa_…`, one a device), session tokens (`gps_…`, one a web login) and
tokens of the JSON interface (`gpk_…`, one a program).

They are tried before anything else and never reach the directory, right or wrong. 160 random bits need no
slow hash: state.db holds their SHA-256. What one may do is fixed when it is made: services, networks, end.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass

from directory.login_rules import inside, network
from directory.model import Condition, Deferred, Refused
from directory.state import State

APP, SESSION, PROGRAM = "gpa_", "gps_", "gpk_"
SECRET_OCTETS = 20
SESSION_SECRET_OCTETS = 32
ID_OCTETS = 5
MAX_TOKENS = 100  # an account
MAX_NAME = 100  # characters
READ_ONLY = "readonly"  # among the services of a program's token: it changes nothing
USED_SECONDS = 3600.0  # "last used" is written once an hour
#: in place of the mark, where only Gatepost itself knows that it set a password since
CHANGED = "changed"
LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True, slots=True)
class Token:
    """One app password or session; `services` and `networks` () mean any."""

    id: str
    kind: str
    account: str
    name: str
    services: tuple[str, ...]
    networks: tuple[str, ...]
    created: float
    expires: float | None
    used: float | None
    #: the account's `LoginMark.password` when it was made; None = made before that was noted
    password: str | None

    def is_older(self, password: str) -> bool:
        """True when the account's password was changed since; `password`: the account's mark now."""
        return self.password is not None and self.password != password


def method_of(token: Token) -> str:
    """How a login by this token counts (`directory.port.Login`)."""
    if token.kind == PROGRAM:
        return "program-read" if READ_ONLY in token.services else "program"
    return "token" if token.kind == SESSION else "app"


def is_token(password: str) -> bool:
    """True for what belongs to this file, whether it is one or only looks so."""
    return password.startswith((APP, SESSION, PROGRAM))


def _text(octets: int) -> str:
    return base64.b32encode(secrets.token_bytes(octets)).decode().rstrip("=").lower()


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


_COLUMNS = "id, kind, account, name, services, networks, created, expires, used, password"


def _token(row: tuple[str, str, str, str, str, str, float, float | None, float | None, str | None]) -> Token:
    return Token(row[0], row[1], row[2], row[3], tuple(row[4].split()), tuple(row[5].split()), *row[6:])


class Tokens:
    """Thread-safe."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create(
        self,
        kind: str,
        account: str,
        name: str,
        *,
        now: float,
        services: tuple[str, ...] = (),
        networks: tuple[str, ...] = (),
        expires: float | None = None,
        password: str = "",
    ) -> tuple[Token, str]:
        """A new token and its secret, which is nowhere kept; `password`: the account's mark. Raises ValueError with what is wrong, for a person."""
        self._state.check()
        if kind not in (APP, SESSION, PROGRAM):
            raise ValueError(f"{kind!r} is no kind of token")
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            raise ValueError(f"a name of 1 to {MAX_NAME} printable characters is needed")
        for text in networks:
            if network(text) is None:
                raise ValueError(f"{text!r} is no network such as 192.0.2.0/24")
        for text in services:
            if not text.isalnum():
                raise ValueError(f"{text!r} is no service")
        if expires is not None and expires <= now:
            raise ValueError("the end lies in the past")
        secret = kind + _text(SECRET_OCTETS if kind == APP else SESSION_SECRET_OCTETS)
        token = Token(_text(ID_OCTETS), kind, account, name.strip(), services, networks, now, expires, None, password)
        with self._state.transaction() as db:
            db.execute("DELETE FROM token WHERE expires IS NOT NULL AND expires<=?", (now,))
            held = db.execute("SELECT count(*) FROM token WHERE account=? AND kind=?", (account, kind)).fetchone()[0]
            if held >= MAX_TOKENS:
                if kind != SESSION:
                    what = "app passwords" if kind == APP else "tokens of programs"
                    raise ValueError(f"{MAX_TOKENS} {what} are there already; revoke one first")
                db.execute(
                    "DELETE FROM token WHERE hash IN "
                    "(SELECT hash FROM token WHERE account=? AND kind=? ORDER BY created LIMIT ?)",
                    (account, kind, held - MAX_TOKENS + 1),
                )
            db.execute(
                f"INSERT INTO token (hash, {_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,NULL,?)",
                (
                    _hash(secret),
                    token.id,
                    kind,
                    account,
                    token.name,
                    " ".join(services),
                    " ".join(networks),
                    now,
                    expires,
                    password,
                ),
            )
        return token, secret

    def check(
        self,
        secret: str,
        account: str,
        service: str,
        address: str,
        now: float,
        *,
        near: bool = False,
        password: str = "",
    ) -> Token:
        """The token, when it is `account`'s and good for this login; `near`: it comes through the web front end of this
        host; `password`: the account's mark now, other than which no session outlives. Raises Refused."""
        found = self.find(secret, now)
        if found is None or found.account != account:
            raise Refused(Condition.AUTHENTICATION_FAILED, f"{account}: unknown, revoked or expired token")
        if found.kind == SESSION and found.is_older(password):
            raise Refused(Condition.AUTHENTICATION_FAILED, f"{account}: session {found.id} is older than the password")
        if found.networks and not inside(address, found.networks):
            raise Refused(Condition.AUTHENTICATION_FAILED, f"{account}: token {found.id} not from {address}")
        if found.kind != APP and not near and not inside(address, LOOPBACK):
            raise Refused(Condition.AUTHENTICATION_FAILED, f"{account}: session token {found.id} from {address}")
        if found.services and service not in found.services:
            raise Refused(Condition.SERVICE_NOT_ALLOWED, f"{account}: token {found.id} is not for {service}")
        if found.used is None or now - found.used > USED_SECONDS:
            try:
                with self._state.transaction() as db:
                    db.execute("UPDATE token SET used=? WHERE id=?", (now, found.id))
            except Deferred:
                pass  # the token is good; a full disk only makes it look unused
        return found

    def find(self, secret: str, now: float) -> Token | None:
        """The token that `secret` is, unless it has expired. Raises Deferred while state.db cannot be read."""
        self._state.check()
        rows = self._state.rows(f"SELECT {_COLUMNS} FROM token WHERE hash=?", (_hash(secret),))
        token = _token(rows[0]) if rows else None
        return None if token is None or (token.expires is not None and token.expires <= now) else token

    def of(self, account: str, kind: str, now: float) -> list[Token]:
        """What an account has that is still good, oldest first."""
        self._state.check()
        rows = self._state.rows(
            f"SELECT {_COLUMNS} FROM token WHERE account=? AND kind=? AND (expires IS NULL OR expires>?) ORDER BY created",
            (account, kind, now),
        )
        return [_token(row) for row in rows]

    def revoke(self, account: str, kind: str, token_id: str | None = None) -> int:
        """End one token of an account, or all of a kind; answers how many there were."""
        self._state.check()
        with self._state.transaction() as db:
            return db.execute(
                "DELETE FROM token WHERE account=? AND kind=? AND (?3 IS NULL OR id=?3)", (account, kind, token_id)
            ).rowcount

    def end_older_sessions(self, account: str, password: str) -> int:
        """End the sessions of an account that are older than its password, whose mark is `password`; how many."""
        self._state.check()
        with self._state.transaction() as db:
            return db.execute(
                "DELETE FROM token WHERE account=? AND kind=? AND password IS NOT NULL AND password<>?",
                (account, SESSION, password),
            ).rowcount

    def password_set(self, account: str) -> None:
        """Note that an account's password was set by Gatepost, for tokens to which the directory would not show it."""
        self._state.check()
        with self._state.transaction() as db:
            db.execute(
                "UPDATE token SET password=? WHERE account=? AND (password IS NULL OR password='')", (CHANGED, account)
            )
