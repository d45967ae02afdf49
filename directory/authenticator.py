"""Proves who somebody is. One a host, in the agent; the workers keep what succeeded for some minutes.

The chain: tokens of our own (`gps_`, `gpa_`) first, which never reach the directory; then what is known to
be wrong; then a simple bind with the DN found in the replica. A wrong password reaches the directory once:
it is remembered until the entry changes, so that no forgotten telephone locks its owner out. Guessers from
places the account never logged in from spend a small budget of binds and then learn nothing. While the
directory is down, verifiers of recent logins answer. Trouble of the infrastructure is Deferred, never "wrong".
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from directory.authenticator_bind import Binds, Verdict
from directory.authenticator_grace import Grace
from directory.authenticator_memory import (
    FAILED_PER_ACCOUNT,
    Failed,
    Memory,
    pair_hash,
    read_key,
    source_of,
)
from directory.authenticator_pace import Pace
from directory.authenticator_settings import AuthSettings
from directory.authenticator_tokens import Tokens, is_token, method_of
from directory.login_mark import LoginMark
from directory.login_rules import inside, may_come, may_use, possible, the_one
from directory.model import Account, Condition, Deferred, Refused, ServiceAccount
from directory.port import Directory, Login
from directory.second_factor import Factors
from directory.state import State

REMEMBERED = 50_000  # successes
LOCKED_SECONDS = 60.0  # a lock of the server may end without a change of the entry
GRACE_CACHE_SECONDS = 60.0
STRIPES = 64


@dataclass(frozen=True, slots=True)
class Proof:
    """A login that succeeded; until `until` (unix time) it holds without asking again, while the entry's
    change mark stays what it was before the question. 0.0 = ask each time."""

    login: Login
    until: float


@dataclass(frozen=True, slots=True)
class _Success:
    mark: str
    until: float
    method: str


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered of an account's logins, for `doctor login`."""

    failed: tuple[Failed, ...]
    budget_spent: int
    verifier_at: float | None
    from_minute: int
    from_day: int
    locked_for: float  #: seconds


class Authenticator:
    """Thread-safe; blocks while the directory is asked."""

    def __init__(
        self,
        directory: Directory,
        binds: Binds,
        state: State,
        key_file: Path,
        settings: AuthSettings | None = None,
        now: Callable[[], float] = time.time,
        exempt_networks: tuple[str, ...] = (),
    ) -> None:
        self._directory, self._binds, self.now = directory, binds, now
        self._settings = settings or AuthSettings()
        self._key = read_key(key_file)
        self._exempt = exempt_networks
        self.memory = Memory(state)
        self.tokens = Tokens(state)
        self.factors = Factors(state)
        self.pace = Pace(self._settings.failures_per_minute, self._settings.failures_per_day)
        self.grace = Grace(self.memory, self._settings.grace, now)
        self.memory.sweep(now(), self._settings.grace)
        self._look_up = threading.Lock()  # a View serves one thread at a time
        self._stripes = tuple(threading.Lock() for _ in range(STRIPES))
        self._lock = threading.Lock()
        self._successes: OrderedDict[bytes, _Success] = OrderedDict()
        self._locked: OrderedDict[str, float] = OrderedDict()

    # -- who comes in --------------------------------------------------------------------------------------

    def delay(self, address: str) -> float:
        """Seconds a login from `address` has to wait first. Raises Deferred for one that is turned away for now."""
        source = source_of(address)
        if not source or inside(address, self._exempt):
            return 0.0
        now = self.now()
        return self.pace.delay(source, now, known=lambda: self.memory.has_success(source, now))

    def prove(
        self, login: str, password: str, service: str, address: str, *, near: bool = False, first_step: bool = False
    ) -> Proof:
        """Check `password` of `login` for `service` (imap, pop3, submission, ...) from client `address`.

        `near`: the connection came through the web front end of this host, which session tokens are for.
        `first_step`: who asks sees to the second factor; without it the directory's password alone is no good for an
        account that has one.

        Raises Refused (AUTHENTICATION_FAILED, SERVICE_NOT_ALLOWED, PASSWORD_MUST_CHANGE) or Deferred
        (AUTHENTICATION_UNAVAILABLE).
        """
        possible(login, password)
        source = source_of(address)
        try:
            proof, entry = self._chain(login, password, service, address, source, near)
        except Refused as error:
            if error.condition is Condition.AUTHENTICATION_FAILED:
                self.pace.failed(source, pair_hash(self._key, login.casefold(), password), self.now())
            raise
        if not first_step and proof.login.method in ("bind", "grace") and self.factors.enrolled(entry.id):
            # the same words as for a wrong password, and no guess: who guesses must not learn that he has found it
            raise Refused(Condition.AUTHENTICATION_FAILED, f"{entry.dn}: a second factor is needed, or an app password")
        may_use(entry, service)
        return proof

    def _find(self, login: str) -> tuple[Account | ServiceAccount, LoginMark, str]:
        with self._look_up:
            entry = the_one(self._directory, login, self.now())
            while True:  # a change between the looks would file the old name's answer under the new mark
                mark, version = self._directory.login_mark(entry.id), self._directory.change_mark(entry.id)
                before, entry = entry, the_one(self._directory, login, self.now())
                if entry == before:
                    break
        if mark is None:
            raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, f"{entry.dn} is just vanishing")
        return entry, mark, version

    def _chain(
        self, login: str, password: str, service: str, address: str, source: str, near: bool
    ) -> tuple[Proof, Account | ServiceAccount]:
        entry, mark, version = self._find(login)
        may_come(entry, address, self.now())
        if is_token(password):
            token = self.tokens.check(
                password, entry.id, service, address, self.now(), near=near, password=mark.password
            )
            self._note_success(entry.id, source)
            return Proof(Login(entry.id, method_of(token)), 0.0), entry
        pair = pair_hash(self._key, entry.id, password)
        known = self._success(pair, version)
        if known is None:
            with self._stripes[hash(entry.id) % STRIPES]:
                known = self._success(pair, version)  # ten connections at once cost one bind
                if known is None:
                    known = self._ask(entry, mark, version, password, pair, source)
        self._note_success(entry.id, source)
        return Proof(Login(entry.id, known.method), known.until), entry

    # -- a password of the directory -----------------------------------------------------------------------

    def _ask(
        self, entry: Account | ServiceAccount, mark: LoginMark, version: str, password: str, pair: bytes, source: str
    ) -> _Success:
        now, memory = self.now(), self.memory
        if memory.is_wrong(entry.id, pair, mark, now):
            raise Refused(Condition.AUTHENTICATION_FAILED, f"{entry.dn}: wrong password, remembered")
        with self._lock:
            if self._locked.get(entry.id, 0.0) > now:
                raise Refused(Condition.AUTHENTICATION_FAILED, f"{entry.dn}: locked by the directory")
        trusted = memory.is_trusted(entry.id, source, now)
        if (
            not trusted
            and memory.spent(entry.id, now) >= self._settings.bind_budget
            and not self.grace.vouches(entry.id, password, pair, mark)
        ):
            self.pace.failed(source, pair, now)
            raise Deferred(
                Condition.AUTHENTICATION_UNAVAILABLE,
                f"{entry.dn}: too many wrong passwords from unknown places, this one was not tried",
            )
        try:
            answer = self._binds.bind(entry.dn, password)
        except Deferred:
            if not self.grace.vouches(entry.id, password, pair, mark):
                raise
            return self._remember(pair, _Success(version, self.now() + GRACE_CACHE_SECONDS, "grace"))
        now = self.now()
        if answer.verdict is Verdict.RIGHT:
            self.grace.proven(entry.id, password, pair, mark, policy=answer.policy)
            return self._remember(pair, _Success(version, now + self._settings.success_cache, "bind"))
        if answer.verdict is Verdict.WRONG:
            memory.failed(
                entry.id,
                pair,
                mark,
                policy=answer.policy,
                trusted=trusted,
                keep=max(FAILED_PER_ACCOUNT, self._settings.bind_budget),
                now=now,
            )
            raise Refused(Condition.AUTHENTICATION_FAILED, f"{entry.dn}: wrong password ({answer.detail})")
        if answer.verdict is Verdict.MUST_CHANGE:
            raise Refused(Condition.PASSWORD_MUST_CHANGE, f"{entry.dn}: {answer.detail}")
        if answer.verdict is Verdict.LOCKED:
            with self._lock:
                self._locked[entry.id] = now + LOCKED_SECONDS
                if len(self._locked) > REMEMBERED:
                    self._locked.popitem(last=False)
        raise Refused(
            Condition.AUTHENTICATION_FAILED, f"{entry.dn}: {answer.verdict.value} by the directory ({answer.detail})"
        )

    def _note_success(self, account: str, source: str) -> None:
        try:
            self.memory.succeeded(account, source, self.now())
        except Deferred:
            return  # the login itself is proven; a disk in trouble only makes the place unknown later

    # -- what is remembered --------------------------------------------------------------------------------

    def _success(self, pair: bytes, version: str) -> _Success | None:
        with self._lock:
            known = self._successes.get(pair)
            if known is None or known.mark != version or known.until <= self.now():
                return None
            self._successes.move_to_end(pair)
            return known

    def _remember(self, pair: bytes, success: _Success) -> _Success:
        with self._lock:
            self._successes[pair] = success
            self._successes.move_to_end(pair)
            if len(self._successes) > REMEMBERED:
                self._successes.popitem(last=False)
        return success

    def flush(self) -> None:
        """Forget every success, failure, verifier and count: each login is asked of the directory again.

        Places that accounts logged in from stay known, app passwords and sessions stay good.
        """
        with self._lock:
            self._successes.clear()
            self._locked.clear()
        self.pace.forget()
        self.grace.forget()
        self.memory.forget()

    def forget_successes(self) -> None:
        """Ask anew whether each password is good, as after a change of second factors."""
        with self._lock:
            self._successes.clear()

    def close(self) -> None:
        """End the connections and the thread; state.db is the caller's."""
        self._binds.close()
        self.grace.close()

    def history(self, account: str, address: str) -> History:
        """What is remembered of an account, and of an address."""
        now = self.now()
        verifier = self.memory.verifier(account)
        with self._lock:
            locked_for = max(0.0, self._locked.get(account, 0.0) - now)
        return History(
            tuple(self.memory.remembered(account, now)),
            self.memory.spent(account, now),
            verifier.at if verifier is not None else None,
            *self.pace.counts(source_of(address), now),
            locked_for,
        )
