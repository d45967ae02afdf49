"""What follows when an account is stopped from sending, and how it ends: in the queue runner's process.

A stop is written down first (brakes.db) and counts at once; then this desk puts the account's mail that waits for
other hosts on hold, and tells the postmaster, under a name that is the same each time: a crash in between repeats the
message at most while the first one is still in the queue, where it takes its place. Mail of the account whose turn
comes later is held by the queue itself.

A release never sends or drops by itself what is on hold: that is decided with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from directory.model import Account, Deferred, Entry, InvalidAddress, ServiceAccount, canonical_address
from directory.port import Directory
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.mail import stop_notice
from gateway.observe import maillog
from gateway.queue.brakes import Brakes, Stopped
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.sending_facts import SendingFacts
from gateway.queue.state import DONE, STOPPED_REPLY, WAITING, QueueState
from gateway.queue.wake import ring
from gateway.service.queue_runner import QueueRunner

LOOK_SECONDS = 60.0  # a lost ring costs so much
ANSWER_SECONDS = 50.0
AT_ONCE = 50  # messages that are looked at before others have their turn
MAX_MESSAGES = 100_000
T = TypeVar("T")


class OneAccount(msgspec.Struct, forbid_unknown_fields=True):
    """The account with that entry id."""

    account: str


class Release(msgspec.Struct, forbid_unknown_fields=True):
    """Let it send again. `mail`: what becomes of what is on hold. `is_usual`: so much is usual for this account."""

    account: str
    mail: Literal["keep", "send", "drop"] = "keep"
    is_usual: bool = False


@contextmanager
def _trouble_said(where: str) -> Iterator[None]:
    """Trouble in the block ends it, and is said in the log."""
    try:
        yield
    except (Deferred, OSError) as error:
        maillog.brake_trouble(detail=f"{where}: {error}")
    except Exception:
        maillog.bug(where=where)


class BrakeDesk:
    """One in the runner."""

    def __init__(
        self,
        brakes: Brakes,
        facts: SendingFacts,
        runner: QueueRunner,
        folder: QueueFolder,
        state: QueueState,
        directory: Directory,
        hostname: str,
        bell: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._brakes, self._facts, self._runner = brakes, facts, runner
        self._folder, self._state, self._directory = folder, state, directory
        self._hostname, self._bell, self._clock = hostname, bell, clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()

    # after a stop

    def wake(self) -> None:
        """Somebody was stopped."""
        self._rung.set()

    async def tend_for_ever(self) -> None:
        """Until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._rung.clear()
            with _trouble_said("brake"):
                await self.tend()
            try:
                await asyncio.wait_for(self._rung.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    async def tend(self) -> None:
        """Hold the mail of those of whom nobody was told yet, and tell. Of one with whom there is trouble nobody was told
        then; the others have their turn. Raises Deferred."""
        for one in await asyncio.to_thread(self._brakes.untold):
            with _trouble_said(f"brake {one.account}"):
                await self._follow(one)

    async def _follow(self, one: Stopped) -> None:
        await self._hold(one.account)
        if one.by == "brake":
            held = len(self._state.held_with(one.account, STOPPED_REPLY, MAX_MESSAGES))
            await asyncio.to_thread(self._tell, one, held)
        await asyncio.to_thread(self._brakes.told, one.account, one.at)

    async def _hold(self, account: str) -> int:
        """Hold what an account has waiting for other hosts: how many messages. What is being tried is held when it
        comes again."""
        held, messages = 0, self._state.owned(account, MAX_MESSAGES)
        for start in range(0, len(messages), AT_ONCE):
            held += self._runner.stopped.hold(messages[start : start + AT_ONCE])
            await asyncio.sleep(0)
        return held

    def _tell(self, one: Stopped, held: int) -> None:
        entry = self._directory.by_id(one.account)
        name, login = names(entry, one.account)
        domain = self._own_domain(name)
        address = f"postmaster@{domain}" if domain else "postmaster"
        digest = hashlib.sha256(f"{one.account} {one.at}".encode()).hexdigest()[:16]
        number = f"{int(one.at)}.B{digest}"
        octets = stop_notice.compose(
            author=f"mailer-daemon@{domain or self._hostname}",
            recipient=f"postmaster@{domain or self._hostname}",
            name=name,
            login=login,
            seen=one.seen,
            held=held,
            message_id=f"<{number}@{self._hostname}>",
            now=self._clock(),
        )
        size = len(octets)
        envelope = QueuedEnvelope(
            number,
            "",
            self._clock(),
            (Target(address, notify=("NEVER",)),),
            size,
            size + octets.count(b"\n"),
            is_ours=True,
        )
        self._folder.inject(envelope, (octets,), is_report=True)
        maillog.stop_told(id=number, account=one.account, recipient=address, seen=one.seen)
        ring(self._bell, number)

    def _own_domain(self, address: str) -> str:
        try:
            domain = self._directory.domain(canonical_address(address).domain)
        except InvalidAddress:
            domain = None
        if domain is not None and domain.kind == "local":
            return domain.name
        return next((each.name for each in self._directory.domains() if each.kind == "local"), "")

    # what operators do

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "brake-stop": Verb(Right.OPERATE, self._stop, OneAccount),
            "brake-release": Verb(Right.OPERATE, self._release, Release),
        }

    def _in_loop(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        if self._loop is None:
            raise VerbError("the queue runner is starting, try again", 4)
        try:
            return asyncio.run_coroutine_threadsafe(run(), self._loop).result(ANSWER_SECONDS)
        except TimeoutError:
            raise VerbError("the queue runner is busy, try again", 4) from None

    def _stop(self, caller: Caller, wanted: OneAccount) -> dict[str, Any]:
        by, seen = f"uid {caller.uid}", "stopped by an operator"
        is_new = self._brakes.stop(wanted.account, "operator", seen, by, self._clock())
        if is_new:
            maillog.sending_stopped(account=wanted.account, sign="operator", seen=seen, by=by)
        held = self._in_loop(self._hold(wanted.account))
        return {"account": wanted.account, "is_new": is_new, "held": held}

    def _release(self, caller: Caller, wanted: Release) -> dict[str, Any]:
        by, now = f"uid {caller.uid}", self._clock()
        how = f"mail on hold: {wanted.mail}{', usual' if wanted.is_usual else ''}"
        is_stopped = self._brakes.is_stopped(wanted.account)
        if is_stopped:  # before the release: else what was counted might stop it again
            self._facts.forgive(wanted.account, now, is_usual=wanted.is_usual)
        if not is_stopped or not self._brakes.release(wanted.account, by, how, now):
            raise VerbError("this account may send: it is not stopped", 1)
        messages = self._in_loop(self._decide(wanted.account, wanted.mail, by))
        maillog.sending_released(account=wanted.account, by=by, mail=wanted.mail, messages=messages)
        return {"account": wanted.account, "mail": wanted.mail, "messages": messages}

    async def _decide(self, account: str, mail: str, by: str) -> int:
        """What becomes of the messages that are on hold; how many there are."""
        messages = self._state.held_with(account, STOPPED_REPLY, MAX_MESSAGES)
        for start in range(0, len(messages) if mail != "keep" else 0, AT_ONCE):
            some = messages[start : start + AT_ONCE]
            self._runner.stopped.end(some, WAITING if mail == "send" else DONE, by)
            await asyncio.sleep(0)
        self._runner.wake([])
        return len(messages)


def names(entry: Entry | None, account: str) -> tuple[str, str]:
    """How people and the commands call an account."""
    if not isinstance(entry, Account | ServiceAccount):
        return account, account
    login = entry.logins[0] if entry.logins else entry.dn
    return (entry.primary or login if isinstance(entry, Account) else login), login
