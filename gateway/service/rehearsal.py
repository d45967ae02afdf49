"""What live SMTP would answer: the session's own core and executor, on a read-only view of everything.

Used by `doctor address`. Nothing is sent, written or remembered; the answer is the running service's answer at
this moment, because it is made by the same code from the same local copy.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from directory.model import Deferred, MailboxHolder, Refused
from directory.port import Directory, Login
from gateway.ask import Ask
from gateway.config.settings import Settings
from gateway.queue.brakes import BRAKES, stopped, why_stopped
from gateway.queue.grace import full, over_since
from gateway.route.plan import Local, Plan
from gateway.route.router import Router
from gateway.service.accept import Acceptance
from gateway.service.host import Host
from gateway.service.smtp_executor import SmtpExecutor
from gateway.service.worker import is_alive
from gateway.smtp.commands import VERBS
from gateway.smtp.session import Client, Session
from gateway.smtp.settings import Role
from gateway.store.domain_use import DOMAIN_FULL, DomainUse, domain_name, read_sums
from gateway.store.domain_use import FILE as DOMAIN_SUMS
from gateway.store.limits import grace_ends
from gateway.store.repository import Repository
from gateway.store.sqlite.usage import ReadOnlyIndex
from gateway.store.stores import Stores

assert VERBS  # filled by the import


class _ToldRouter(Router):
    """Writes down each step of the decision."""

    steps: list[str]
    plan: Plan | None = None

    def route(self, recipient: str, now: float, **options: Any) -> Plan:
        self.steps, self.plan = [], None
        self.plan = super().route(recipient, now, **{**options, "trace": self.steps})
        return self.plan


class _Grace:
    """Since when accounts are over their quota, read only."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._path, self._seconds = path, seconds

    def since(self, account: str) -> float | None:
        return over_since(self._path, account, "over_soft")

    def note(self, account: str, is_over: bool, now: float) -> None:
        """A rehearsal remembers nothing."""

    def full(self, account: str, now: float, why: str = "") -> Deferred | Refused:
        since = over_since(self._path, account)
        return full(account, now - (since if since is not None else now), self._seconds, why)


class _Watch:
    """Who may not send, read only."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self, account: str) -> None:
        """Raise what an account that is stopped is answered."""
        try:
            found = {one.account for one in stopped(self._path)}
        except Deferred:
            return  # as the service does: a file that cannot be read stops nobody
        if account in found:
            raise why_stopped(account)

    def refused(self, account: str) -> None:
        """A rehearsal counts nothing."""


@dataclass(slots=True)
class Rehearsed:
    """`reply` is what RCPT gets, word for word (what MAIL gets, when it is not taken); `detail` is for the log."""

    reply: str
    steps: list[str] = field(default_factory=list)
    plan: Plan | None = None
    detail: str = ""

    @property
    def code(self) -> int:
        return int(self.reply[:3])


def rehearse(
    settings: Settings,
    directory: Directory,
    address: str,
    sender: str,
    role: Role = Role.MX,
    login: Login | None = None,
) -> Rehearsed:
    """The answer to `address` for a message from `sender` ("" = `<>`). `login`: who is logged in, on submission."""
    router = _ToldRouter(directory, settings.route, host_names=(settings.hostname,))
    router.steps = []
    state = Path(settings.state_dir)
    index = cast(Repository, ReadOnlyIndex(state / "index")) if settings.role == "all" else None
    grace = _Grace(state / "over_quota.db", settings.queue.quota_grace)
    acceptance = Acceptance(
        Stores(
            settings.store,
            index,
            is_alive=lambda entry: is_alive(directory, entry),
            over_soft=grace,
            domain_room=DomainUse(state / DOMAIN_SUMS, directory.domain),
        ),
        cast(Any, None),
        cast(Any, grace),
        cast(Any, None),
        cast(Any, None),
        state,
    )
    watch = _Watch(state / BRAKES)
    host = cast(
        Host,
        SimpleNamespace(settings=settings, directory=directory, router=router, acceptance=acceptance, watch=watch),
    )
    session = Session(role, settings.smtp, settings.hostname, Client("127.0.0.1"))
    session.login = login
    executor = SmtpExecutor(session, host)
    told = Rehearsed("")
    utf8 = "" if (address + sender).isascii() else " SMTPUTF8"
    hello = "LHLO" if role is Role.LMTP else "EHLO"
    for line in (f"{hello} localhost", f"MAIL FROM:<{sender}>{utf8}", f"RCPT TO:<{address}>"):
        session.receive(line.encode("utf-8", "replace").replace(b"\r", b" ").replace(b"\n", b" ") + b"\r\n")
        reply = b""
        while (dialogue := session.next_dialogue()) is not None:
            reply += _run(dialogue, executor, told)
        told.reply = reply.decode("utf-8", "replace").strip()
        if not told.reply.startswith("2"):
            break
    told.steps = router.steps
    sums = read_sums(state / DOMAIN_SUMS) if told.detail.endswith(DOMAIN_FULL) else None
    full = sums.full() if sums is not None else {}
    for step in router.plan.steps if router.plan is not None else ():
        if not isinstance(step, Local):
            continue
        domain = directory.domain(domain_name(step.holder))
        if domain is not None and domain.name in full:
            told.steps.append("{}: {} is full: {} of {} octets".format(step.holder.dn, domain.name, *full[domain.name]))
        if step.holder.quota_soft and (since := grace.since(step.holder.id)) is not None:
            told.steps.append(f"{step.holder.dn}: {soft_quota(step.holder, since)}")
    return told


def soft_quota(holder: MailboxHolder, since: float) -> str:
    """For an operator: since when a store is over its soft quota, and when that becomes a hard one."""
    ends = grace_ends(holder, since)
    until = f", which counts as the hard one from {_time(ends)} on" if ends is not None else ""
    return f"over the soft quota of {holder.quota_soft} octets since {_time(since)}{until}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _run(dialogue: Any, executor: SmtpExecutor, told: Rehearsed) -> bytes:
    said, answer, error = b"", None, None
    while True:
        try:
            step = dialogue.throw(error) if error is not None else dialogue.send(answer)
        except StopIteration:
            return said
        answer, error = None, None
        if not isinstance(step, Ask):
            said += step
            continue
        try:
            answer = executor.execute(step.request)
            if inspect.isawaitable(answer):
                raise TypeError(f"{type(step.request).__name__} is not part of a rehearsal")
            if isinstance(answer, Plan):
                told.plan = answer
        except (Deferred, Refused) as problem:
            error = problem
            told.detail = str(problem)
