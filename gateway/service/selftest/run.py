"""A run of the self-test: what it needs is made, the tests run one after the other, everything is taken away again.

Bounded: a test has TEST_SECONDS, all together RUN_SECONDS, taking away CLEAN_SECONDS. A signal ends the test under way;
what was made is taken away all the same.
"""

from __future__ import annotations

import fcntl
import imaplib
import os
import poplib
import signal
import smtplib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from directory.login_rules import named
from directory.model import Account, Condition, Deferred
from gateway.config.settings import Settings
from gateway.control.client import ControlError, call
from gateway.service.local_copy import local_copy
from gateway.service.selftest import deliver, receive, services
from gateway.service.selftest.bench import FIELD, Bench, Person
from gateway.service.selftest.case import NEEDS, Case, Failed, Need, Result, Skipped
from gateway.service.selftest.entries import Entries, Names, remove_leftovers
from gateway.service.selftest.sink import Sink
from gateway.service.selftest.tail import Tail
from gateway.service.trail import trail_folder

MODULES = (deliver, receive, services)  # their tests are registered by the import
TEST_SECONDS = 10.0
RUN_SECONDS = 60.0
CLEAN_SECONDS = 15.0
LOCK = "selftest.lock"
MAX_HEAD = 8192  # octets in which a message of ours has its header
TEMPORARY = 4
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENTRIES = "entries"
CLEAN = "clean"

Tell = Callable[[Result], None]


class Interrupted(BaseException):
    """A signal came: the run ends, and what it made is taken away."""


def _open_lock(path: Path) -> int:
    """Made by root or by the mail user, for both: the folder gives it its group."""
    with suppress(FileNotFoundError):
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    os.fchmod(fd, 0o640)
    return fd


@contextmanager
def _alone(run_dir: Path) -> Iterator[None]:
    """One run at a time on a host. Raises ControlError."""
    fd = _open_lock(run_dir / LOCK)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ControlError("another self-test runs on this host at the moment", TEMPORARY) from None
        yield
    finally:
        os.close(fd)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextmanager
def _interruptible() -> Iterator[None]:
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _deaf() -> None:
    """Taking away is short and bounded: a second ^C must not cut it short."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class Run:
    """One run of `cases`; `tell` hears of each result at once. With `login` a person that is there is tested with."""

    def __init__(self, settings: Settings, configuration: Path, cases: Sequence[Case], tell: Tell) -> None:
        self._settings, self._cases, self._tell = settings, cases, tell
        self._needs = {need for case in cases for need in case.needs}
        self._bench = Bench(settings, configuration, Names.fresh())
        self._results: list[Result] = []
        self._sink: Sink | None = None
        self._why_not: dict[Need, str] = {}

    def run(self, login: str = "", password: str = "") -> list[Result]:
        """Raises ControlError where the service does not run, or where another self-test does; Interrupted."""
        with ExitStack() as stack:
            stack.enter_context(_interruptible())
            stack.enter_context(_alone(Path(self._settings.run_dir)))
            call(Path(self._settings.run_dir) / "control.sock", "directory-status", answer_within=TEST_SECONDS)
            try:
                self._prepare(login, password)
                self._test()
            finally:
                _deaf()
                self._clean()
        return self._results

    def _add(self, result: Result) -> None:
        self._results.append(result)
        self._tell(result)

    # -- before ----------------------------------------------------------------------------------------------

    def _prepare(self, login: str, password: str) -> None:
        person = tail = None
        if self._needs and self._settings.trace.keep:
            tail = Tail(trail_folder(self._settings))
        if self._needs and self._settings.role != "all":
            self._lack("person", f"this host only delivers (role: {self._settings.role})")
        elif login:
            person = self._person(login, password)
            self._lack("entries", "it needs entries of its own, which are not made with --login")
        elif self._needs:
            person = self._make()
        self._bench.give(person, self._sink, tail)
        if login and person is not None:
            self._bench.begin(TEST_SECONDS)
            with suppress(OSError, imaplib.IMAP4.error, Failed, Skipped):  # the tests tell
                self._bench.note_mailboxes()

    def _lack(self, need: Need, why: str) -> None:
        """Tests that need it are skipped; without an account there is nothing else of ours either."""
        also = NEEDS[NEEDS.index(need) :] if need in ("person", "entries") else (need,)
        for each in also:
            self._why_not.setdefault(each, why)

    def _person(self, login: str, password: str) -> Person:
        """Who is there already. Raises ControlError."""
        with local_copy(self._settings) as view:
            found = [entry for entry in named(view, login) if isinstance(entry, Account)]
            if len(found) != 1 or not found[0].primary:
                raise ControlError(f"{len(found)} accounts with an address have the login {login!r}", 1)
            addresses = [address for address in (found[0].primary, *found[0].addresses) if address.isascii()]
            if not addresses:
                raise ControlError(f"{login} has no address in ASCII that could be tested with", 1)
            domain = view.domain(addresses[0].rpartition("@")[2].lower())
            return Person(login, password, addresses[0], domain is not None and bool(domain.catch_all))

    def _make(self) -> Person | None:
        """Entries of our own; None where they cannot be made."""
        begin = time.monotonic()
        left = self._leftovers()
        if "sink" in self._needs:
            try:
                self._sink = Sink(f"far.{self._bench.names.domain}")
            except OSError as error:
                self._lack("sink", f"the far end of the self-test cannot listen on loopback: {error}")
        self._bench.entries = entries = Entries(self._settings, self._bench.names)
        try:
            entries.make(self._sink.port if self._sink is not None else 0)
        except ControlError as error:
            self._not_made(error, "an account", time.monotonic() - begin)
            self._lack("person", "no account could be made")
            return None
        for need, problem in entries.missing.items():
            if need in self._needs:
                self._not_made(problem, f"a mailing {need}" if need == "list" else f"an {need}", 0.0)
                self._lack(need, f"no {need} could be made")
        self._add(Result(ENTRIES, "ok", time.monotonic() - begin, note=f"{entries.names.domain}{left}"))
        return Person(entries.names.run, entries.password, entries.names.address("me"))

    def _not_made(self, error: ControlError, what: str, seconds: float) -> None:
        """Trouble is a failure; a directory that does not let us is not."""
        if error.code == TEMPORARY:
            self._add(Result(
                ENTRIES, "FAILED", seconds, f"{what} can be made in the directory", str(error),
                "gatepost directory status",
            ))  # fmt: skip
        else:
            self._add(Result(ENTRIES, "skipped", seconds, reason=f"{what}: {error}; --login LOGIN tests with a person"))

    def _leftovers(self) -> str:
        try:
            left = remove_leftovers(self._settings, time.monotonic() + CLEAN_SECONDS)
        except Deferred as error:
            left = [str(error)]
        return f"; of earlier runs is left: {'; '.join(left)}" if left else ""

    # -- tests -----------------------------------------------------------------------------------------------

    def _test(self) -> None:
        until = time.monotonic() + RUN_SECONDS
        for case in self._cases:
            left = until - time.monotonic()
            missing = next((self._why_not[need] for need in NEEDS if need in case.needs & self._why_not.keys()), "")
            if missing or left <= 0:
                reason = missing or f"the tests before it took all of the {RUN_SECONDS:g} s"
                self._add(Result(case.name, "skipped", 0.0, reason=reason))
            else:
                self._add(self._one(case, min(left, TEST_SECONDS)))

    def _one(self, case: Case, seconds: float) -> Result:
        begin = time.monotonic()
        self._bench.begin(seconds)
        try:
            note = case.run(self._bench) or ""
        except Failed as failure:
            return self._failed(case, begin, failure)
        except Skipped as reason:
            return Result(case.name, "skipped", time.monotonic() - begin, reason=str(reason))
        except ControlError as error:
            return self._failed(case, begin, Failed("the service does what it is asked", str(error), "gatepost status"))
        except Deferred as error:
            came = error.detail or Condition(error.condition).text
            return self._failed(case, begin, Failed("the local copy can be read", came, "gatepost directory status"))
        except (OSError, smtplib.SMTPException, imaplib.IMAP4.error, poplib.error_proto) as error:
            self._bench.drop_reader()
            came = f"{type(error).__name__}: {error}"
            return self._failed(case, begin, Failed("the service answers in time", came, "gatepost ps, and the log"))
        return Result(case.name, "ok", time.monotonic() - begin, note=note)

    @staticmethod
    def _failed(case: Case, begin: float, failure: Failed) -> Result:
        return Result(
            case.name, "FAILED", time.monotonic() - begin, failure.expected, failure.came, failure.advice
        )  # fmt: skip

    # -- behind ----------------------------------------------------------------------------------------------

    def _undropped(self) -> list[str]:
        """Take back what `gatepost inject` left in the drop folder, because the service did not take it at once."""
        left: list[str] = []
        folder = Path(self._settings.state_dir) / "spool" / "drop"
        try:
            for path in folder.iterdir():
                if path.stat().st_mtime >= self._bench.names.began and self._is_ours(path):
                    path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass  # taken by the service, or there is no such folder
        except OSError as error:
            left.append(f"{folder}: {error.strerror}")
        return left

    def _is_ours(self, path: Path) -> bool:
        with path.open("rb") as file:
            return f"{FIELD}: {self._bench.names.run}\n".encode() in file.read(MAX_HEAD)

    def _clean(self) -> None:
        begin, left = time.monotonic(), list[str]()
        until = begin + CLEAN_SECONDS
        self._bench.begin(CLEAN_SECONDS / 2)
        if self._bench.entries is None and self._bench.has_person:
            try:
                self._bench.forget()
            except (OSError, imaplib.IMAP4.error, Failed, Skipped) as error:
                left.append(f"messages with the field {FIELD} in the mailbox: {error}")
        self._bench.drop_reader()
        left += self._undropped()
        if self._bench.entries is not None:
            left += self._bench.entries.remove(until)
        if self._sink is not None:
            self._sink.stop()
        if left:
            self._add(Result(
                CLEAN, "FAILED", time.monotonic() - begin, "everything that was made is taken away",
                "; ".join(left), "the next gatepost selftest tries again",
            ))  # fmt: skip
        elif self._bench.has_person or (self._bench.entries is not None and self._bench.entries.were_made):
            self._add(Result(CLEAN, "ok", time.monotonic() - begin))
