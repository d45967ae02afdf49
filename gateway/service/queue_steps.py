"""What an attempt at a queued message does: into a store, to another host, to a desk of this one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Protocol, TypeVar

from directory.model import Condition, Deferred, InvalidAddress, MailingList, Refused, canonical_address
from gateway.deliver.content import converted
from gateway.deliver.port import Addressee, Outcome, Parcel, Taken
from gateway.lists.copy import AS_IT_IS, Rewriting, copied
from gateway.mail.srs import Srs
from gateway.mail.wire import wire_address
from gateway.observe import maillog
from gateway.queue.destinations import Crowded, Destinations, NotNow, Seat
from gateway.queue.file import QueuedEnvelope, QueuedMessage, Target
from gateway.queue.settings import QueueSettings
from gateway.route.next_hop import NextHop, next_hop
from gateway.route.plan import Discard, Instructions, Later, ListMail, Local, Remote, RemoteLmtp, Step
from gateway.route.relay_settings import RelaySettings
from gateway.route.router import Router
from gateway.service.final_delivery import Outcome as LocalOutcome
from gateway.service.instructions import RuleDesk
from gateway.service.outbound import Couriers
from gateway.service.signing import Signing
from gateway.smtp.extensions import journalled

RECIPIENTS_PER_TRANSACTION = 100  # RFC 5321 4.5.3.1.8: every host takes so many
STORES_AT_ONCE = 100  # that get one message together; a crash repeats no more

#: (steps of one list or of none, return path, content, message id)
LocalDelivery = Callable[[Sequence[Local], str, Sequence[bytes], str], Sequence[LocalOutcome]]
#: notes that steps are delivered, by their keys; on disk when it returns
Done = Callable[[Sequence[str]], Awaitable[None]]


class Desk(Protocol):
    """Does what is asked under the service addresses of lists."""

    async def handle(self, step: ListMail, envelope: QueuedEnvelope, content: Callable[[], Iterator[bytes]]) -> None:
        """Raises Deferred, Refused, OSError."""
        ...

    async def rewriting(self, mailing_list: MailingList, content: Iterator[bytes]) -> Rewriting:
        """What is decided for copies that leave. Raises OSError."""
        ...

    def leave(self, mailing_list: MailingList, member: str, path: str) -> str:
        """Where `member`, whose own copy leaves with the return path `path`, leaves the list by one click; "" = nowhere."""
        ...


@dataclass(slots=True)
class Way:
    """A step of an attempt: the return path it goes with, the first target that leads to it, the host it goes to."""

    step: Step
    path: str
    target: Target
    hop: NextHop | None = None
    #: there is no way at this moment
    problem: Deferred | None = None


@dataclass(frozen=True, slots=True)
class _Copy:
    """The octets that leave, for all recipients alike. `signer`: the domain that signs them, "" = the author's, None = none
    does; `unsigned`: what it signs."""

    content: Callable[[], Iterator[bytes]]
    size: int
    crlf: int
    unsigned: Callable[[], Iterator[bytes]]
    signer: str | None = None


@dataclass(frozen=True, slots=True)
class Untried:
    """Nothing was tried: the destination gets nothing before `until`; `is_silence`: it does not answer."""

    until: float
    why: str
    is_silence: bool


StepOutcome = Outcome | Untried
Work = Callable[[], Awaitable[Sequence[StepOutcome]]]
V = TypeVar("V")


def _portions(some: dict[str, V], size: int) -> Iterator[dict[str, V]]:
    keys = list(some)
    for start in range(0, len(keys), size):
        yield {key: some[key] for key in keys[start : start + size]}


def _list_id(step: Step) -> str:
    return step.mailing_list.id if step.mailing_list is not None else ""


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
    """In the runner's event loop. What is delivered is noted before the next is tried, so that it is not repeated."""

    def __init__(
        self,
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
        self._router, self._deliver, self._couriers, self._clock = router, deliver, couriers, clock
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

    def way(self, step: Step, path: str, target: Target) -> Way:
        """A step with the host that it goes to at this moment."""
        way = Way(step, path, target)
        if isinstance(step, Remote | RemoteLmtp):
            try:
                way.hop = self._next_hop(step, path)
            except Deferred as error:
                way.problem = error
        return way

    def _next_hop(self, step: Remote | RemoteLmtp, path: str) -> NextHop:
        separators = self._router.settings.extension_separator
        return next_hop(step, path, self._router.directory, self._relay, separators)

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
                hop = self._next_hop(step, path)
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

    @staticmethod
    def _content(
        message: QueuedMessage, mailing_list: MailingList | None, how: Rewriting = AS_IT_IS
    ) -> Iterator[bytes]:
        """The message, or the list's copy of it."""
        return message.content() if mailing_list is None else copied(message.content(), mailing_list, how)

    async def _copy(self, message: QueuedMessage, mailing_list: MailingList | None, leave: str = "") -> _Copy:
        """The octets that leave; `leave`: where their one reader leaves the list. Raises OSError, HeaderProblem."""
        if mailing_list is None:
            whole = _Copy(message.content, message.envelope.size, message.envelope.crlf, message.content)
            return await self._signed(whole, "") if message.envelope.is_ours else whole
        how = AS_IT_IS if self._desk is None else await self._desk.rewriting(mailing_list, message.content())
        how = replace(how, leave=leave) if leave else how
        size = crlf = 0
        for piece in self._content(message, mailing_list, how):
            size += len(piece)
            crlf += len(piece) + piece.count(b"\n")
        content = partial(self._content, message, mailing_list, how)
        copy = _Copy(content, size, crlf, content)
        address = mailing_list.primary
        return await self._signed(copy, address.rpartition("@")[2]) if address else copy

    async def _signed(self, copy: _Copy, domain: str) -> _Copy:
        """The copy with the signatures of a domain of ours, "" = the author's (RFC 6376). Raises OSError."""
        made = await self._signatures(domain, copy.content, copy.size)
        if not made:
            return copy
        crlf = copy.crlf + len(made) + made.count(b"\n")
        return _Copy(lambda: chain((made,), copy.content()), copy.size + len(made), crlf, copy.content, domain)

    async def _signatures(self, domain: str, content: Callable[[], Iterator[bytes]], size: int) -> bytes:
        if self._signing is None:
            return b""
        if domain:
            return await self._signing.by_domain(domain, content, size)
        return await self._signing.of_author(content, size)

    async def _in_7bit(self, copy: _Copy) -> bytes:
        """The copy for a host without 8BITMIME, signed as it leaves: to encode it breaks what was signed before
        (RFC 6376 5.3). Raises Refused, OSError."""
        octets = await asyncio.to_thread(lambda: converted(copy.unsigned()))
        made = (
            await self._signatures(copy.signer, lambda: iter((octets,)), len(octets))
            if copy.signer is not None
            else b""
        )
        return made + octets

    async def run(
        self, message: QueuedMessage, ways: Mapping[str, Way], done: Done, seats: Mapping[str, Seat]
    ) -> dict[str, StepOutcome]:
        """Try all steps, by their keys. What one work delivered is noted by `done` before the next one begins; what the
        last one delivered is the caller's to write down. Raises Deferred, OSError, Damaged, HeaderProblem."""
        outcomes: dict[str, StepOutcome] = {}
        works = list(self._works(message, ways, seats, outcomes))
        for number, (keys, work) in enumerate(works):
            outcomes.update(zip(keys, await work(), strict=True))
            taken = [key for key in keys if isinstance(outcomes[key], Taken)]
            if taken and number + 1 < len(works):
                await done(taken)
        return outcomes

    def _works(
        self,
        message: QueuedMessage,
        ways: Mapping[str, Way],
        seats: Mapping[str, Seat],
        outcomes: dict[str, StepOutcome],
    ) -> Iterator[tuple[Sequence[str], Work]]:
        """What is to be done, each for some steps at once; steps with which there is nothing to do get their outcome."""
        envelope = message.envelope
        here: dict[tuple[str, str], dict[str, Local]] = {}
        away: dict[tuple[NextHop, str, str], dict[str, Way]] = {}
        for key, way in ways.items():
            step = way.step
            if isinstance(step, Local):
                here.setdefault((way.path, _list_id(step)), {})[key] = replace(step, is_junk=envelope.is_junk)
            elif isinstance(step, Discard):
                maillog.discarded(id=envelope.id, recipient=step.recipient, account=step.holder.id)
                outcomes[key] = Taken()
            elif isinstance(step, ListMail):
                yield [key], partial(self._at_desk, step, message)
            elif isinstance(step, Instructions):
                yield [key], partial(self._by_rules, step, way.path, message)
            elif isinstance(step, Later):
                outcomes[key] = step.reason
            elif way.hop is None:
                outcomes[key] = way.problem or Deferred(Condition.NO_ROUTE, step.recipient)
            else:
                try:
                    path = self._rewritten(step, way.path)
                except Deferred as error:
                    outcomes[key] = error
                    continue
                away.setdefault((way.hop, path, _list_id(step)), {})[key] = way
        for (path, _), local in here.items():
            for some in _portions(local, STORES_AT_ONCE):
                yield list(some), partial(self._into_stores, list(some.values()), path, message)
        copies: dict[tuple[str, str], _Copy] = {}
        for (hop, path, list_id), remote in away.items():
            for part in _portions(remote, RECIPIENTS_PER_TRANSACTION):
                yield (
                    list(part),
                    partial(self._away, hop, path, list(part.values()), message, copies, list_id, seats.get(hop.key)),
                )

    async def _away(
        self,
        hop: NextHop,
        path: str,
        ways: Sequence[Way],
        message: QueuedMessage,
        copies: dict[tuple[str, str], _Copy],
        list_id: str,
        seat: Seat | None,
    ) -> Sequence[StepOutcome]:
        step = ways[0].step
        leave = (
            self._desk.leave(step.mailing_list, step.recipient.lower(), path)
            if self._desk is not None and step.mailing_list is not None and isinstance(step, Remote) and len(ways) == 1
            else ""
        )
        copy = copies.get((list_id, leave))
        if copy is None:
            copy = await self._copy(message, step.mailing_list, leave)
            if not leave:  # one for all; that of one member is his alone
                copies[list_id, leave] = copy
        return await self._send(hop, self._parcel(message.envelope, path, ways, copy), seat)

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

    async def _into_stores(self, steps: Sequence[Local], path: str, message: QueuedMessage) -> Sequence[Outcome]:
        async with self._local_gate:
            self.local += 1
            try:
                found = await asyncio.get_running_loop().run_in_executor(
                    None, lambda: self._deliver(steps, path, list(message.content()), message.envelope.id)
                )
            finally:
                self.local -= 1
        return [each or Taken() for each in found]

    async def _by_rules(self, step: Instructions, path: str, message: QueuedMessage) -> Sequence[Outcome]:
        if self._rules is None:
            return [Deferred(Condition.QUEUE_UNAVAILABLE, "no desk for rules")]
        content = partial(self._content, message, step.mailing_list)
        return [await _handled(self._rules.handle(step, path, message.envelope, content))]

    async def _at_desk(self, step: ListMail, message: QueuedMessage) -> Sequence[Outcome]:
        if self._desk is None:
            return [Deferred(Condition.QUEUE_UNAVAILABLE, "no desk for lists")]
        return [await _handled(self._desk.handle(step, message.envelope, message.content))]

    def _parcel(self, envelope: QueuedEnvelope, path: str, ways: Sequence[Way], copy: _Copy) -> Parcel:
        recipients = tuple(
            Addressee(wire_address(way.step.recipient), frozenset(way.target.notify), way.target.orcpt) for way in ways
        )
        parameters = envelope.parameters if ways[0].step.mailing_list is None else _of_list(envelope.parameters)
        if all(isinstance(way.step, RemoteLmtp) for way in ways):
            parameters = {**parameters, journalled.NAME: ""}  # a host of this site: the copies were kept here
        return Parcel(
            envelope.id,
            wire_address(path) if path else "",
            recipients,
            copy.content,
            copy.size,
            copy.crlf,
            partial(self._in_7bit, copy),
            parameters,
        )

    async def _send(self, hop: NextHop, parcel: Parcel, seat: Seat | None) -> Sequence[StepOutcome]:
        try:
            seat = seat or self.destinations.seat(hop.key, self._clock())
            async with self.destinations.place(hop.key, seat, self._clock), self._remote_gate:
                self.remote += 1
                try:
                    outcomes = await self._couriers(hop).deliver(parcel)
                finally:
                    self.remote -= 1
        except NotNow as error:
            return [Untried(error.until, error.why, not isinstance(error, Crowded))] * len(parcel.recipients)
        silent = next((each for each in outcomes if isinstance(each, Deferred) and not each.reply), None)
        if silent is not None and all(isinstance(each, Deferred) and not each.reply for each in outcomes):
            self.destinations.silent(hop.key, self._clock(), str(silent))
        else:
            self.destinations.answered(hop.key)
        return outcomes
