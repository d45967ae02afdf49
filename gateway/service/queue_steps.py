"""What an attempt at a queued message does: into a store, to another host, to a desk of this one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Protocol

from directory.model import Condition, Deferred, InvalidAddress, MailingList, Refused, canonical_address
from gateway.deliver.port import Addressee, Outcome, Parcel, Taken
from gateway.lists.copy import AS_IT_IS, Rewriting, copied
from gateway.mail.srs import Srs
from gateway.mail.wire import wire_address
from gateway.observe import maillog
from gateway.queue.destinations import Destinations, NotNow
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
from gateway.queue.state import QueueState
from gateway.route.next_hop import NextHop, next_hop
from gateway.route.plan import Discard, Instructions, Later, ListMail, Local, Remote, Step
from gateway.route.relay_settings import RelaySettings
from gateway.route.router import Router
from gateway.service.final_delivery import Outcome as LocalOutcome
from gateway.service.instructions import RuleDesk
from gateway.service.outbound import Couriers
from gateway.service.signing import Signing

RECIPIENTS_PER_TRANSACTION = 100  # RFC 5321 4.5.3.1.8: every host takes so many

#: (step, return path, content, message id)
LocalDelivery = Callable[[Local, str, Sequence[bytes], str], LocalOutcome]


class Desk(Protocol):
    """Does what is asked under the service addresses of lists."""

    async def handle(self, step: ListMail, envelope: QueuedEnvelope, content: Callable[[], Iterator[bytes]]) -> None:
        """Raises Deferred, Refused, OSError."""
        ...

    async def rewriting(self, mailing_list: MailingList, content: Iterator[bytes]) -> Rewriting:
        """What is decided for copies that leave. Raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class _Copy:
    """The octets that leave, for all recipients alike."""

    content: Callable[[], Iterator[bytes]]
    size: int
    crlf: int


@dataclass(frozen=True, slots=True)
class Untried:
    """Nothing was tried: the destination gets nothing before `until`."""

    until: float
    why: str


StepOutcome = Outcome | Untried


def _of_list(parameters: dict[str, str]) -> dict[str, str]:
    """What the author wanted of reports does not go with the list's copies: it is the list's that are sent."""
    return {name: value for name, value in parameters.items() if name not in ("RET", "ENVID")}


async def _handled(work: Awaitable[None]) -> Outcome:
    """What became of work at a desk of this host."""
    try:
        await work
    except (Deferred, Refused) as error:
        return error
    except OSError as error:
        return Deferred(Condition.QUEUE_UNAVAILABLE, str(error))
    return Taken()


class QueueSteps:
    """In the runner's event loop. What is delivered is noted step by step, so that it is not repeated."""

    def __init__(
        self,
        folder: QueueFolder,
        state: QueueState,
        router: Router,
        deliver: LocalDelivery,
        couriers: Couriers,
        settings: QueueSettings,
        clock: Callable[[], float],
        relay: RelaySettings | None = None,
        desk: Desk | None = None,
        rules: RuleDesk | None = None,
        srs: Srs | None = None,
        signing: Signing | None = None,
    ) -> None:
        self._folder, self._state, self._router = folder, state, router
        self._deliver, self._couriers, self._clock = deliver, couriers, clock
        self._relay = relay or RelaySettings()
        self._desk, self._rules, self._srs, self._signing = desk, rules, srs, signing
        self.destinations = Destinations(settings)
        self._local_gate = asyncio.Semaphore(settings.concurrency_local)
        self._remote_gate = asyncio.Semaphore(settings.concurrency_remote)
        self._limits = settings.concurrency_local, settings.concurrency_remote
        #: deliveries into stores and connections to other hosts at this moment
        self.local = self.remote = 0

    def status(self) -> str:
        """qmail's line: how much is under way of how much may be."""
        local, remote = self._limits
        return f"status: local {self.local}/{local} remote {self.remote}/{remote}"

    def silence(self, steps: Sequence[Step], path: str, now: float) -> NotNow | None:
        """When all steps lead to hosts that do not answer: until when the first of them is left alone. Raises
        Deferred."""
        first: NotNow | None = None
        for step in steps:
            if not isinstance(step, Remote):
                return None
            hop = next_hop(step, path, self._router.directory, self._relay)
            silence = self.destinations.silence(hop.key, now)
            if silence is None:
                return None
            first = silence if first is None or silence.until < first.until else first
        return first

    def told(self, steps: Sequence[Step], path: str, now: float) -> list[str]:
        """What these steps would do at this moment, for people. Raises Deferred."""
        lines = []
        for step in steps:
            if isinstance(step, Local):
                lines.append(f"into the store of {step.holder.dn}")
            elif isinstance(step, Later):
                lines.append(f"{step.recipient or step.account}: later, {step.reason.text} ({step.reason})")
            elif isinstance(step, Discard):
                lines.append(f"{step.recipient}: thrown away by a rule")
            elif isinstance(step, ListMail):
                lines.append(f"{step.recipient}: read by the list itself")
            elif isinstance(step, Instructions):
                lines.append(f"{step.recipient}: rules of the entry")
            else:
                hop = next_hop(step, path, self._router.directory, self._relay)
                silence = self.destinations.silence(hop.key, now)
                why = f", which does not answer: {silence.why}" if silence is not None else ""
                lines.append(f"{step.recipient}: to {hop.key}{why}")
        return lines

    def of(self, target: Target, path: str, now: float) -> tuple[Step, ...]:
        if target.is_held:
            return (self._router.route_held(target.list, target.address, now),)
        if target.account:
            return (self._router.route_account(target.account, target.address, now, target.mailbox, target.extension),)
        return self._router.route(target.address, now, outside=True, sender=path).steps

    def list_of(self, entry_id: str, now: float) -> MailingList | None:
        """The list whose copy a target gets; None for none, or for one that is gone. Raises Deferred."""
        entry = self._router.directory.by_id(entry_id) if entry_id else None
        if entry_id and entry is None and not self._router.directory.freshness().absence_is_final(now):
            raise Deferred(Condition.DIRECTORY_STALE, f"is the list {entry_id} still there?")
        return entry if isinstance(entry, MailingList) else None

    def _content(self, message: str, mailing_list: MailingList | None, how: Rewriting = AS_IT_IS) -> Iterator[bytes]:
        """The message, or the list's copy of it."""
        content = self._folder.content(message)
        return content if mailing_list is None else copied(content, mailing_list, how)

    async def _copy(self, message: str, mailing_list: MailingList | None) -> _Copy:
        """The list's copy as it leaves. Raises OSError, Damaged, HeaderProblem."""
        how = AS_IT_IS
        if self._desk is not None and mailing_list is not None:
            how = await self._desk.rewriting(mailing_list, self._folder.content(message))
        size = crlf = 0
        for piece in self._content(message, mailing_list, how):
            size += len(piece)
            crlf += len(piece) + piece.count(b"\n")
        copy = _Copy(lambda: self._content(message, mailing_list, how), size, crlf)
        address = mailing_list.primary if mailing_list is not None else None
        return await self._signed(copy, address.rpartition("@")[2]) if address else copy

    async def _signed(self, copy: _Copy, domain: str) -> _Copy:
        """The copy with the signatures of a domain of ours, "" = the author's (RFC 6376). Raises OSError."""
        if self._signing is None:
            return copy
        if domain:
            made = await self._signing.by_domain(domain, copy.content, copy.size)
        else:
            made = await self._signing.of_author(copy.content, copy.size)
        if not made:
            return copy
        crlf = copy.crlf + len(made) + made.count(b"\n")
        return _Copy(lambda: chain((made,), copy.content()), copy.size + len(made), crlf)

    async def run(
        self, message: str, envelope: QueuedEnvelope, wanted: dict[str, tuple[Step, str, Target]]
    ) -> dict[str, StepOutcome]:
        outcomes: dict[str, StepOutcome] = {}
        away: dict[tuple[NextHop, str, str], list[tuple[str, Step, Target]]] = {}
        content: list[bytes] = []
        for key, (step, path, target) in wanted.items():
            if isinstance(step, Local):
                content = content or list(self._folder.content(message))
                outcomes[key] = await self._into_store(replace(step, is_junk=envelope.is_junk), path, content, message)
            elif isinstance(step, Discard):
                maillog.discarded(id=message, recipient=step.recipient, account=step.holder.id)
                outcomes[key] = Taken()
            elif isinstance(step, ListMail):
                outcomes[key] = await self._at_desk(step, envelope, message)
            elif isinstance(step, Instructions):
                outcomes[key] = await self._by_rules(step, path, envelope, message)
            elif isinstance(step, Later):
                outcomes[key] = step.reason
            else:
                try:
                    hop = next_hop(step, path, self._router.directory, self._relay)
                    path = self._rewritten(step, path)
                except Deferred as error:
                    outcomes[key] = error
                    continue
                list_id = step.mailing_list.id if step.mailing_list is not None else ""
                away.setdefault((hop, path, list_id), []).append((key, step, target))
            if isinstance(outcomes.get(key), Taken):
                self._state.step_done(message, [key])
        copies = {"": _Copy(lambda: self._folder.content(message), envelope.size, envelope.crlf)}
        if envelope.is_ours and any(not list_id for _, _, list_id in away):
            copies[""] = await self._signed(copies[""], "")
        for (hop, path, list_id), recipients in away.items():
            if list_id not in copies:
                copies[list_id] = await self._copy(message, recipients[0][1].mailing_list)
            for start in range(0, len(recipients), RECIPIENTS_PER_TRANSACTION):
                some = recipients[start : start + RECIPIENTS_PER_TRANSACTION]
                parcel = self._parcel(
                    message, envelope, path, [(step, target) for _, step, target in some], copies[list_id]
                )
                results = await self._send(hop, parcel)
                outcomes.update(zip((key for key, _, _ in some), results, strict=True))
                taken = [key for key, _, _ in some if isinstance(outcomes[key], Taken)]
                if taken:
                    self._state.step_done(message, taken)
        return outcomes

    def _rewritten(self, step: Step, path: str) -> str:
        """The return path with which a message is sent on: of one forwarded to outside it is ours. Raises Deferred."""
        if self._srs is None or not path or not isinstance(step, Remote) or step.mailing_list is not None:
            return path
        try:
            ends = [canonical_address(text).domain for text in (path, step.recipient)]
        except InvalidAddress:
            return path
        # what comes from us is not forwarded, and a domain that we relay for takes its mail from us
        if any(self._router.directory.domain(domain) is not None for domain in ends):
            return path
        return self._srs.forward(path, self._clock())

    async def _into_store(self, step: Local, path: str, content: Sequence[bytes], message: str) -> Outcome:
        async with self._local_gate:
            self.local += 1
            try:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(None, self._deliver, step, path, content, message) or Taken()
            finally:
                self.local -= 1

    async def _by_rules(self, step: Instructions, path: str, envelope: QueuedEnvelope, message: str) -> Outcome:
        if self._rules is None:
            return Deferred(Condition.QUEUE_UNAVAILABLE, "no desk for rules")
        return await _handled(
            self._rules.handle(step, path, envelope, lambda: self._content(message, step.mailing_list))
        )

    async def _at_desk(self, step: ListMail, envelope: QueuedEnvelope, message: str) -> Outcome:
        if self._desk is None:
            return Deferred(Condition.QUEUE_UNAVAILABLE, "no desk for lists")
        return await _handled(self._desk.handle(step, envelope, lambda: self._folder.content(message)))

    def _parcel(
        self, message: str, envelope: QueuedEnvelope, path: str, steps: Sequence[tuple[Step, Target]], copy: _Copy
    ) -> Parcel:
        recipients = tuple(
            Addressee(wire_address(step.recipient), frozenset(target.notify), target.orcpt) for step, target in steps
        )
        return Parcel(
            message,
            wire_address(path) if path else "",
            recipients,
            copy.content,
            copy.size,
            copy.crlf,
            _of_list(envelope.parameters) if steps[0][0].mailing_list is not None else envelope.parameters,
        )

    async def _send(self, hop: NextHop, parcel: Parcel) -> Sequence[StepOutcome]:
        try:
            async with self.destinations.place(hop.key, self._clock()), self._remote_gate:
                self.remote += 1
                try:
                    outcomes = await self._couriers(hop).deliver(parcel)
                finally:
                    self.remote -= 1
        except NotNow as error:
            return [Untried(error.until, error.why)] * len(parcel.recipients)
        silent = next((each for each in outcomes if isinstance(each, Deferred) and not each.reply), None)
        if silent is not None and all(isinstance(each, Deferred) and not each.reply for each in outcomes):
            self.destinations.silent(hop.key, self._clock(), str(silent))
        else:
            self.destinations.answered(hop.key)
        return outcomes
