"""A company in memory with lists, and the desk that serves them, over a real queue."""

from __future__ import annotations

from pathlib import Path

from native_entries import BASE, PROFILE, entry

from directory.memory import MemorySource
from directory.model import Deferred, MailingList
from directory.raw import RawEntry
from directory.view import View
from gateway.deliver.resolve import Records
from gateway.filters.settings import AuthenticationSettings
from gateway.lists.settings import ListSettings
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.list_state import ListState
from gateway.queue.settings import QueueSettings
from gateway.route.plan import ListMail
from gateway.route.router import Router
from gateway.service.list_author import AuthorPolicy
from gateway.service.list_bounces import Bounces
from gateway.service.list_decider import Deciders
from gateway.service.list_desk import ListDesk
from gateway.service.list_facts import HostListFacts
from gateway.service.list_leaving import WaysOut
from gateway.service.list_mailer import ListMailer
from gateway.service.list_moderation import Moderation
from gateway.service.list_subscription import Subscription
from gateway.service.signing import Signing


def person(uid: str) -> RawEntry:
    mail = f"{uid}@example.com"
    return entry(f"uid={uid}", "inetOrgPerson gatepostAccount", uid=uid, cn=uid, mail=mail, gatepostAddress=mail)


class Desk:
    """Everything that the runner has of lists; `now` is its clock."""

    def __init__(self, folder: Path, *, settings: ListSettings | None = None, **team: str | list[str]) -> None:
        self.now = 1_000_000.0
        self.dns: dict[str, bytes | Deferred] = {}
        self.questions: list[str] = []
        settings = settings or ListSettings()
        self.source = MemorySource(
            PROFILE,
            (
                entry("cn=d", "gatepostEntry gatepostDomain", cn="d", gatepostDomainName="example.com"),
                *map(person, ("ann", "bob", "mod", "own")),
                entry("cn=mods", "groupOfNames", cn="mods", member=f"uid=mod,{BASE}"),
                entry(
                    "cn=team", "gatepostEntry gatepostList", cn="team", gatepostAddress="team@example.com",
                    **{"member": f"uid=ann,{BASE}", "gatepostMemberAddress": "out@far.example", "owner": f"uid=own,{BASE}",
                       "gatepostModerator": f"cn=mods,{BASE}", "gatepostModeratorAddress": "m@far.example", **team},
                ),
            ),
        )  # fmt: skip
        self.view = View(self.source, PROFILE)
        self.queue = QueueFolder(folder / "queue", QueueSettings())
        self.held = QueueFolder(folder / "held", QueueSettings())
        self.state = ListState(folder / "lists.db")
        facts = HostListFacts(self.state, folder / "lists.key")
        mailer = ListMailer(self.view, self.queue, folder / "bell", "mx.example.com", lambda: self.now)
        router = Router(self.view, lists=facts)
        deciders = Deciders(mailer, "+", self, AuthenticationSettings())  # type: ignore[arg-type]
        moderation = Moderation(mailer, router, facts, self.held, settings, deciders)
        self.agent = folder / "control.sock"
        self.desk = ListDesk(
            mailer,
            Bounces(mailer, facts, settings),
            moderation,
            Subscription(mailer, deciders, facts, self.agent, settings),
            AuthorPolicy(self, settings.own_from),  # type: ignore[arg-type]
            WaysOut("", facts, Signing(self.view, folder / "dkim")),
        )
        self.router = router

    async def ask(self, name: str, kind: str) -> Records:
        """The DNS: what `dns` holds, trouble for a name that is an error there."""
        self.questions.append(name)
        found = self.dns.get(name, b"")
        if isinstance(found, Deferred):
            raise found
        return Records((found,) if found else (), name)

    @property
    def team(self) -> MailingList:
        (found,) = self.view.owners("team@example.com")
        assert isinstance(found, MailingList)
        return found

    async def handle(
        self, kind: str, octets: bytes, *, return_path: str = "x@y.example", login: str = "", number: str = "m1",
        token: str = "",
    ) -> None:  # fmt: skip
        step = ListMail(self.team, f"team-{kind}@example.com", kind, token)  # type: ignore[arg-type]
        size = len(octets)
        envelope = QueuedEnvelope(number, return_path, self.now, (Target("x"),), size, size, login=login)
        await self.desk.handle(step, envelope, lambda: iter((octets,)))

    def sent(self) -> list[tuple[list[str], str, bytes]]:
        """(recipients, return path, octets) of everything put into the queue so far, which is emptied."""
        found = []
        for message in sorted(self.queue.ids()):
            envelope = self.queue.read(message)
            found.append(
                ([t.address for t in envelope.targets], envelope.return_path, b"".join(self.queue.content(message)))
            )
            self.queue.remove(message)
        return found

    def close(self) -> None:
        self.state.close()
