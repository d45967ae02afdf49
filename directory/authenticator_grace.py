"""Answers for a directory that is down: argon2id verifiers of logins that it proved within the grace time.

A verifier costs about 25 ms of a core, far more than the login it follows. They are therefore made aside, one
at a time, when no login came in for a moment, and under load one a second. A password that does not match
proves nothing here: the directory may know a newer one.
"""

from __future__ import annotations

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
        while True:
            job = self._jobs.get()
            try:
                if job is None or self._closing.is_set():
                    return
                self._pause()
                with self._lock:
                    self._asked.discard(job[2])
                self._keep(*job)
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
        now = self._now()
        verifier = self._memory.verifier(account)
        if (
            verifier is None
            or now - verifier.at > self._seconds
            or not verifier.holds(mark, policy_visible=self._memory.policy_visible(mark))
        ):
            return False
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
            self._kept.clear()
            self._wrong.clear()


def _matches(verifier: str, password: str) -> bool:
    try:
        return _HASHER.verify(verifier, password)
    except (VerificationError, argon2.exceptions.InvalidHashError):
        return False
