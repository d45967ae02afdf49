"""A queue with everything of the runner's process in one folder, and children that do one thing with it and may be killed.

Words are ACTION FOLDER PORT [SECONDS]: what is prepared and done, where, the port of the far end, and how much later
than now it is. Everything runs in the child's main thread, so that its calls can be counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from children import begin, serve
from native_entries import BASE, PROFILE, entry

from directory.memory import MemorySource
from directory.model import Condition, Deferred
from directory.raw import RawEntry
from directory.view import View
from gateway.config.load import load
from gateway.control.server import Caller
from gateway.deliver.connections import Connections
from gateway.deliver.settings import DnsSettings
from gateway.deliver.smtp import Outside, SmtpCourier
from gateway.deliver.tls_policy import Protections
from gateway.files import drop
from gateway.filters.settings import AuthenticationSettings
from gateway.lists.settings import ListSettings
from gateway.mail.envelope import Envelope, EnvelopeRecipient
from gateway.mail.settings import BounceSettings
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.grace import QuotaGrace
from gateway.queue.list_state import ListState
from gateway.queue.replied import Replied
from gateway.queue.settings import QueueSettings
from gateway.queue.state import QueueState
from gateway.route.next_hop import NextHop
from gateway.route.relay_settings import RelaySettings
from gateway.route.router import Router
from gateway.service import journal_recovery, queue_runner
from gateway.service.accept import Acceptance, Arrival, target_of
from gateway.service.drop_sweep import DropSweep
from gateway.service.final_delivery import FinalDelivery
from gateway.service.instructions import RuleDesk
from gateway.service.journal import JournalDesk
from gateway.service.list_author import AuthorPolicy
from gateway.service.list_bounces import Bounces
from gateway.service.list_decider import Deciders
from gateway.service.list_desk import ListDesk
from gateway.service.list_facts import HostListFacts
from gateway.service.list_leaving import WaysOut
from gateway.service.list_mailer import ListMailer
from gateway.service.list_moderation import Moderation
from gateway.service.list_subscription import Subscription
from gateway.service.network import ClientTls, Dialer
from gateway.service.program_client import Programs
from gateway.service.queue_runner import QueueRunner
from gateway.service.queue_steps import QueueSteps
from gateway.service.queue_verbs import QueueVerbs
from gateway.service.reporting import Reporter
from gateway.service.resolver import Resolver
from gateway.service.signing import Signing
from gateway.service.vacation import Vacation
from gateway.store import markers
from gateway.store.settings import StoreSettings, Volume
from gateway.store.stores import Stores

HOST = "mx.example.com"
JANE = "jane@example.com"
#: what the far end does
REPLIES = {"RCPT TO:<no@far.example>": "550 5.1.1 nobody", "RCPT TO:<later@far.example>": "451 4.2.0 come again"}
TLS = ClientTls()  # reading the authorities is most of what a child would do
#: (mark of the message, who): what must become of it
DELIVERED, BOUNCED, WAITING, DROPPED, HELD = "delivered", "bounced", "waiting", "dropped", "held"
COUNTED, APPROVED, NOTHING = "counted", "approved", "nothing"
Fates = dict[tuple[str, str], str]


def _person(uid: str, **more: str | list[str]) -> RawEntry:
    mail = f"{uid}@example.com"
    values = {"uid": uid, "cn": uid, "mail": mail, "gatepostAddress": mail, **more}
    return entry(f"uid={uid}", "inetOrgPerson gatepostAccount", **values)


def _list(name: str, *outside: str, **more: str | list[str]) -> RawEntry:
    return entry(
        f"cn={name}", "gatepostEntry gatepostList", cn=name, gatepostAddress=f"{name}@example.com",
        member=[f"uid=ann,{BASE}"], gatepostMemberAddress=list(outside), owner=f"uid=own,{BASE}", **more,
    )  # fmt: skip


ENTRIES = (
    entry("cn=d", "gatepostEntry gatepostDomain", cn="d", gatepostDomainName="example.com"),
    entry(
        "cn=audited", "gatepostEntry gatepostDomain", cn="audited", gatepostDomainName="audited.example",
        gatepostJournal="journal@far.example",
    ),
    *map(_person, ("ann", "jane", "own", "mod")),
    _person("kim", gatepostAddress="kim@audited.example"),
    _person("rita", gatepostExtension=["@ if header Subject go forward out@far.example", "@ deliver"]),
    entry(
        "cn=info", "gatepostEntry gatepostAlias", cn="info", gatepostAddress="info@example.com",
        gatepostTarget=f"uid=ann,{BASE}", gatepostForward=["ok@far.example", "no@far.example"],
    ),
    _list("team", "ok@far.example", "no@far.example"),
    _list("board", "ok@far.example", gatepostModeration="all", gatepostModerator=f"uid=mod,{BASE}"),
)  # fmt: skip


class Inline(ThreadPoolExecutor):
    """Everything in the calling thread: strace counts the calls of each thread by themselves."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


def octets(folder: Path, mark: str) -> bytes:
    """A message that can be told from all others."""
    return b"From: %s\nMessage-ID: <%s@%s>\nSubject: go\n\nhello\n" % (
        JANE.encode(),
        mark.encode(),
        folder.name.encode(),
    )


class Company:
    """What the runner's process has. Opens files; `router` needs none of them that a reader could not open beside it."""

    def __init__(self, folder: Path, port: int, later: float = 0.0) -> None:
        self.folder, self._port, self._later = folder, port, later
        volume = folder / "mail"
        if not volume.exists():
            volume.mkdir(parents=True)
            markers.prepare_volume(volume)
            (folder / "spool" / "drop").mkdir(parents=True)
        settings = QueueSettings(min_free_bytes=0)
        self.settings = settings
        self.queue = QueueFolder(folder / "queue", settings)
        self.held = QueueFolder(folder / "held", settings)
        bell = folder / "bell"
        view = View(MemorySource(PROFILE, ENTRIES), PROFILE)
        self.facts = HostListFacts(ListState(folder / "lists.db"), folder / "lists.key")
        assert self.facts.key
        self.router = Router(view, host_names=(HOST,), lists=self.facts)
        self.stores = Stores(StoreSettings(volumes={"main": Volume(path=str(volume))}), None)
        grace = QuotaGrace(folder / "over_quota.db", settings.quota_grace)
        delivery = FinalDelivery(
            self.stores, grace, Vacation(view, Replied(folder / "replied.db"), self.queue, bell, HOST, "+")
        )
        self.reporter = Reporter(
            self.queue, self.router, BounceSettings(), hostname=HOST, bell=bell, lifetime=settings.lifetime
        )
        self.journals = JournalDesk(view, self.queue, bell, HOST, lambda: self.facts.key)
        self.acceptance = Acceptance(self.stores, self.queue, grace, delivery, self.reporter, bell, self.journals)
        mailer = ListMailer(view, self.queue, bell, HOST, self.clock)
        lists = ListSettings()
        resolver = Resolver(DnsSettings())
        deciders = Deciders(mailer, "+", resolver, AuthenticationSettings())
        self.moderation = Moderation(mailer, self.router, self.facts, self.held, lists, deciders)
        desk = ListDesk(
            mailer,
            Bounces(mailer, self.facts, lists),
            self.moderation,
            Subscription(mailer, deciders, self.facts, folder / "none", lists),
            AuthorPolicy(resolver, "never"),
            WaysOut("", self.facts, Signing(view, folder / "dkim")),
        )
        self.state = QueueState(folder / "queue.db")
        self.steps = QueueSteps(
            self.router, delivery.deliver, self._courier, settings, self.clock, None, desk,
            RuleDesk(self.queue, Programs(folder, {}), self.router, bell),
        )  # fmt: skip
        self._outside = Outside(
            Dialer(TLS), resolver, Connections(0, 0, 1, time.monotonic, lambda: None), RelaySettings(), HOST,
            lambda records: None, lambda address: False, lambda name: ("", ""), Protections(resolver, None, dane=False),
            lambda *facts: None,
        )  # fmt: skip

    def clock(self) -> float:
        return time.time() + self._later

    def _courier(self, hop: NextHop) -> SmtpCourier:
        return SmtpCourier(NextHop("smtp", "127.0.0.1", self._port), self._outside)

    def inject(self, mark: str, *targets: Target, return_path: str = JANE, vouched: bool = True) -> None:
        content = octets(self.folder, mark)
        size = len(content)
        self.queue.inject(
            QueuedEnvelope(
                mark, return_path, self.clock(), targets, size, size + content.count(b"\n"), vouched=vouched
            ),
            [content],
        )

    def runner(self) -> QueueRunner:
        """A runner that begins: it recovers what another one left."""
        runner = QueueRunner(self.queue, self.state, self.steps, self.settings, self.reporter, self.clock)
        runner._ledger._thread = Inline(1)
        return runner

    async def work(self, runner: QueueRunner) -> None:
        """Until nothing is left that could be done now."""
        before: set[str] | None = None
        while (present := self.queue.ids()) != before:
            before = present
            await runner.work()

    def sweep(self) -> None:
        """Take in what lies in the drop folder."""
        if any((self.folder / "spool" / "drop").iterdir()):
            DropSweep(load_settings(self.folder), self.queue, self.router, self.journals).sweep()


def load_settings(folder: Path) -> Any:
    """A configuration whose state is there."""
    path = folder / "gatepost.yaml"
    if not path.exists():
        path.write_text(
            f'hostname: {HOST}\nstate_dir: {folder}\nrun_dir: {folder}\ndirectory: {{servers: [ldap://127.0.0.1], base: "{BASE}"}}\n'
            f"store: {{volumes: {{main: {{path: {folder}/mail}}}}}}\n"
        )
    return load(path)


# what is done


def _nothing(company: Company) -> None:
    pass


async def _work(company: Company) -> None:
    await company.work(company.runner())


def _one_of_each(company: Company) -> None:
    company.inject("m1", Target("ann@example.com", "t:uid=ann", notify=("SUCCESS",)), Target("ok@far.example"),
                   Target("no@far.example"), Target("later@far.example"))  # fmt: skip
    company.inject("m2", Target("ok@far.example"), return_path="x@far.example", vouched=False)


EACH: Fates = {
    ("m1", "ann"): DELIVERED, ("m1", "ok@far.example"): DELIVERED, ("m1", "no@far.example"): BOUNCED,
    ("m1", "later@far.example"): WAITING, ("m2", "ok@far.example"): DELIVERED,
}  # fmt: skip


def _spread(company: Company) -> None:
    company.inject("m1", Target("info@example.com"))


def _list_copies(company: Company) -> None:
    plan = company.router.route("team@example.com", company.clock(), sender=JANE)
    company.inject("m1", *(target_of(step, JANE) for step in plan.steps))


def _rules(company: Company) -> None:
    company.inject("m1", Target("rita@example.com", "t:uid=rita", extension=""), Target("no@far.example"))


def _post(company: Company) -> None:
    company.inject("m1", Target("board@example.com", list="t:cn=board", is_held=True))


async def _approve(company: Company) -> None:
    (board,) = company.router.directory.owners("board@example.com")
    (post,) = company.held.ids()
    await company.moderation.decide(board, post, "approve", "mod")  # type: ignore[arg-type]
    await _work(company)


async def _posted(company: Company) -> None:
    _post(company)
    await _work(company)


def _left(company: Company) -> None:
    load_settings(company.folder)
    drop.leave(
        company.folder / "spool" / "drop",
        drop.DropEnvelope(JANE, ("ann@example.com", "ok@far.example", "no@far.example")),
        [octets(company.folder, "m1")],
    )


async def _sweep(company: Company) -> None:
    company.sweep()
    await _work(company)


def _arrival(company: Company, *recipients: str) -> Arrival:
    plans = [
        EnvelopeRecipient(address, company.router.route(address, company.clock(), outside=True, sender=JANE))
        for address in recipients
    ]
    return Arrival("m1", Envelope(JANE, {}, plans), b"", [octets(company.folder, "m1")], "::1", "mx", vouched=True)


async def _accept(company: Company) -> None:
    """An alias with targets outside: all of it goes into the queue."""
    assert company.acceptance.take(_arrival(company, "info@example.com")) == [None]


async def _accept_journalled(company: Company) -> None:
    """A store, and a copy for the journal of its domain."""
    assert company.acceptance.take(_arrival(company, "kim@audited.example", "ok@far.example")) == [None, None]


async def _accept_direct_journalled(company: Company) -> None:
    """The same, without a queue file: the copy alone is renamed, behind the delivery."""
    assert company.acceptance.take(_arrival(company, "kim@audited.example")) == [None]


async def _accept_half(company: Company) -> None:
    """One store of two is in trouble: the rest goes into the queue."""
    good = company.stores.deliver_many

    def half(targets: Sequence[Any], *content: Any) -> list[Any]:
        return [*good(targets[:1], *content), Deferred(Condition.STORE_UNAVAILABLE)]

    company.stores.deliver_many = half  # type: ignore[method-assign]
    assert company.acceptance.take(_arrival(company, "ann@example.com", "own@example.com")) == [None, None]
    company.stores.deliver_many = good  # type: ignore[method-assign]


async def _prepared_verbs(company: Company) -> None:
    _one_of_each(company)
    company.inject("m3", Target("later@far.example"))
    company.inject("m4", Target("later@far.example"))
    await company.work(company.runner())


async def _verbs(company: Company) -> None:
    loop, runner = asyncio.get_running_loop(), company.runner()
    runner.look()
    verbs = QueueVerbs(runner, company.queue, company.state, company.settings, loop).verbs()
    threads = ThreadPoolExecutor(1)
    for verb, arguments in (
        ("queue-change", {"what": "hold", "message": "m3"}),
        ("queue-change", {"what": "hold", "message": "m1"}),
        ("queue-drop", {"message": "m4"}),
        ("queue-change", {"what": "release", "message": "m1"}),
        ("queue-change", {"what": "retry"}),
    ):
        row = verbs[verb]
        asked = row.arguments(**arguments)
        await asyncio.wrap_future(threads.submit(row.run, Caller(0, None), asked))
    await company.work(runner)


async def _interrupted(company: Company) -> None:
    """What crashes leave at many instants at once: claimed, delivered without a record of the outcome, recorded without
    a report, reported without a record of that, finished without removal, rows without a file, files without rows."""
    company.inject("m3", Target("no@far.example"), Target("ok@far.example"))
    good, company.reporter.report = company.reporter.report, _fails  # type: ignore[method-assign]
    await company.work(company.runner())
    company.reporter.report = good  # type: ignore[method-assign]
    _one_of_each(company)
    company.inject("m4", Target("ok@far.example"))
    company.inject("m5", Target("own@example.com", "t:uid=own"))
    company.runner().look()
    claimed = {message: company.state.claim(message, company.clock()) for message in ("m1", "m4", "m5")}
    company.state.record("m5", [replace(row, state="done") for row in claimed["m5"]])
    company.queue.remove("m4")
    company.inject("m6", Target("no@far.example"))


def _fails(*arguments: Any) -> None:
    raise Deferred(Condition.QUEUE_FULL)


@dataclass(frozen=True)
class Action:
    """`fates`: what must become of everything in the end. `is_accepted`: the sender's 250 came before the action."""

    prepare: Callable[[Company], Any]
    act: Callable[[Company], Any]
    fates: Fates
    is_accepted: bool = True


SERVED: Fates = {("m1", "ann"): DELIVERED, ("m1", "ok@far.example"): DELIVERED}
BOUNCE: Fates = {**SERVED, ("m1", "no@far.example"): BOUNCED}
ACTIONS = {
    "attempt": Action(_one_of_each, _work, EACH),
    "alias": Action(_spread, _work, {**SERVED, ("m1", "info@example.com"): BOUNCED}),
    "list": Action(_list_copies, _work, {**SERVED, ("m1", "no@far.example"): COUNTED}),
    "rules": Action(_rules, _work, {("m1", "out@far.example"): DELIVERED, ("m1", "no@far.example"): BOUNCED}),
    "post": Action(_post, _work, {("m1", "board@example.com"): HELD}),
    "approve": Action(_posted, _approve, dict.fromkeys(SERVED, APPROVED)),
    "drop-folder": Action(_left, _sweep, BOUNCE),
    "accept": Action(_nothing, _accept, BOUNCE, is_accepted=False),
    "accept-journalled": Action(_nothing, _accept_journalled, {
        ("m1", "kim"): DELIVERED, ("m1", "ok@far.example"): DELIVERED, ("m1.J0", "journal@far.example"): DELIVERED,
    }, is_accepted=False),
    "accept-direct-journalled": Action(_nothing, _accept_direct_journalled, {
        ("m1", "kim"): DELIVERED, ("m1.J0", "journal@far.example"): DELIVERED,
    }, is_accepted=False),
    "accept-half": Action(_nothing, _accept_half, {("m1", "ann"): DELIVERED, ("m1", "own"): DELIVERED}, is_accepted=False),
    "verbs": Action(_prepared_verbs, _verbs, {**EACH, ("m3", "later@far.example"): WAITING, ("m4", "later@far.example"): DROPPED}),
    "recovery": Action(_interrupted, _work, {
        **EACH, ("m3", "no@far.example"): BOUNCED, ("m3", "ok@far.example"): DELIVERED, ("m4", "ok@far.example"): NOTHING, ("m5", "own"): NOTHING, ("m6", "no@far.example"): BOUNCED,
    }),
}  # fmt: skip


def child(action: str, folder: str, port: str, later: str = "0") -> None:
    logging.disable()
    queue_runner.TROUBLE_SECONDS = 0.0
    company = Company(Path(folder), int(port), float(later))

    async def main() -> None:
        asyncio.get_running_loop().set_default_executor(Inline(1))
        if action == "recover":
            begin()
            company.moderation.recover()
            journal_recovery.recover(
                company.queue, company.journals, company.clock() + 2 * journal_recovery.AFTER_SECONDS
            )
            company.sweep()
            await _work(company)
            return
        todo = ACTIONS[action]
        if (prepared := todo.prepare(company)) is not None:
            await prepared
        begin()
        await todo.act(company)

    asyncio.run(main())


if __name__ == "__main__":
    serve(child)
