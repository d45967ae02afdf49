"""Answers for a directory that is down: what it proved within the grace time.

The password last proven for an account is remembered by its keyed hash as long as the process lives; an argon2id
verifier on disk answers after a restart. That costs about 25 ms of a core, far more than the login it follows.
They are therefore made aside, one at a time, when no login came in for a moment, and take a tenth of a core at most.
A password that does not match proves nothing here: the directory may know a newer one.
"""

from __future__ import annotations

import hmac
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

import argon2
from argon2.exceptions import VerificationError

from directory.authenticator_memory import Memory, Verifier
from directory.login_mark import LoginMark
from directory.model import Deferred

BACKLOG = 1000  # verifiers waiting to be made; beyond it a login simply gets none
WAIT_SECONDS = 2.0
REMEMBERED = 10_000
PROVEN = 20_000  # accounts whose last password is remembered in memory
RESTS = 9  # times as long as a verifier took, before the next one
QUIET_SECONDS = 0.05  # without a login, then verifiers are made one after the other
BUSY_SECONDS = 1.0  # between two of them while logins keep coming in
REFRESH = 0.25  # of the grace time: how old a verifier's date may become before it is written anew
#: OWASP's second choice for argon2id (m=19 MiB, t=2, p=1): about 25 ms
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


class Grace:
    """Thread-safe. `seconds` 0 keeps and answers nothing."""

    def __init__(self, memory: Memory, seconds: float, now: Callable[[], float] = time.time) -> None:
        self._memory, self._seconds, self._now = memory, seconds, now
        self._jobs: queue.Queue[tuple[str, str, bytes, LoginMark, bool] | None] = queue.Queue(BACKLOG)
        self._asked: set[bytes] = set()  # pairs among the jobs
        #: by account the pair that was proven last, and its verifier without a text
        self._proven: OrderedDict[str, tuple[bytes, Verifier]] = OrderedDict()
        self._last_login = 0.0  # monotonic
        self._closing = threading.Event()
        self._argon = threading.Semaphore(1)
        #: pairs whose verifier is on disk: (content, when written)
        self._kept: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._wrong: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="verifiers", daemon=True)
        if seconds:
            self._thread.start()

    def proven(self, account: str, password: str, pair: bytes, mark: LoginMark, *, policy: bool) -> None:
        """The directory proved this login just now."""
        if not self._seconds:
            return
        self._last_login = time.monotonic()
        with self._lock:
            self._proven[account] = (pair, Verifier(self._now(), "", mark.content, mark.version, policy))
            self._proven.move_to_end(account)
            if len(self._proven) > PROVEN:
                self._proven.popitem(last=False)
            known = self._kept.get(pair)
            if known is not None and known[0] == mark.content and self._now() - known[1] < self._seconds * REFRESH:
                return
            if pair in self._asked:
                return
            self._asked.add(pair)
        try:
            self._jobs.put_nowait((account, password, pair, mark, policy))
        except queue.Full:
            with self._lock:
                self._asked.discard(pair)

    def settle(self) -> None:
        """Return when every verifier asked for so far is made."""
        self._jobs.join()

    def close(self) -> None:
        """End the thread; verifiers that were not made yet are not made."""
        self._closing.set()
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        rested = 0.0  # monotonic
        while True:
            job = self._jobs.get()
            try:
                self._closing.wait(max(0.0, rested - time.monotonic()))
                if job is None or self._closing.is_set():
                    return
                self._pause()
                with self._lock:
                    self._asked.discard(job[2])
                begun = time.monotonic()
                self._keep(*job)
                rested = time.monotonic() + RESTS * (time.monotonic() - begun)
            except Deferred:
                pass  # a disk in trouble costs the grace of this login, no more
            finally:
                self._jobs.task_done()

    def _pause(self) -> None:
        """Wait for a quiet moment, but no longer than a second."""
        deadline = time.monotonic() + BUSY_SECONDS
        while (now := time.monotonic()) < deadline:
            quiet = now - self._last_login
            if quiet >= QUIET_SECONDS or self._closing.wait(QUIET_SECONDS - quiet):
                return

    def _keep(self, account: str, password: str, pair: bytes, mark: LoginMark, policy: bool) -> None:
        now = self._now()
        old = self._memory.verifier(account)
        with self._lock:
            _, written = self._kept.get(pair, ("", 0.0))
        if old is not None and old.at == written:  # made of this very password: only its date is written anew
            made = old.verifier
        else:
            with self._argon:
                same = old is not None and _matches(old.verifier, password)
                made = old.verifier if old is not None and same else _HASHER.hash(password)
        self._memory.keep_verifier(account, Verifier(now, made, mark.content, mark.version, policy))
        with self._lock:
            self._kept[pair] = (mark.content, now)
            if len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)

    def vouches(self, account: str, password: str, pair: bytes, mark: LoginMark) -> bool:
        """True when this password of the account was proven within the grace time and the entry is unchanged."""
        if not self._seconds:
            return False
        with self._lock:
            proven = self._proven.get(account)
        verifier = proven[1] if proven is not None else self._memory.verifier(account)
        if (
            verifier is None
            or self._now() - verifier.at > self._seconds
            or not verifier.holds(mark, policy_visible=self._memory.policy_visible(mark))
        ):
            return False
        if proven is not None:
            return hmac.compare_digest(proven[0], pair)
        with self._lock:
            if self._wrong.get(pair) == verifier.at:
                return False
        if not self._argon.acquire(timeout=WAIT_SECONDS):
            return False
        try:
            right = _matches(verifier.verifier, password)
        finally:
            self._argon.release()
        if not right:
            with self._lock:
                self._wrong[pair] = verifier.at
                if len(self._wrong) > REMEMBERED:
                    self._wrong.popitem(last=False)
        return right

    def forget(self) -> None:
        """Forget what is remembered in memory; the verifiers themselves are `Memory.forget`'s."""
        with self._lock:
            self._proven.clear()
            self._kept.clear()
            self._wrong.clear()


def _matches(verifier: str, password: str) -> bool:
    try:
        return _HASHER.verify(verifier, password)
    except (VerificationError, argon2.exceptions.InvalidHashError):
        return False
