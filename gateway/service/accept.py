"""Taking responsibility for a message: everything accepted is on disk when `take` returns.

Every step a store of this host and at most DIRECT_MAX of them: direct delivery, no queue file. Anything
else goes into the queue whole. A direct delivery that half fails leaves the rest to the queue.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from directory.model import Condition, Deferred, MailboxHolder, Refused
from gateway.deliver.port import Taken
from gateway.files.spool import lines_of, prefixed, size_of
from gateway.mail.envelope import Envelope, EnvelopeRecipient
from gateway.observe import maillog
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.grace import QuotaGrace
from gateway.queue.wake import ring
from gateway.route.plan import Discard, Instructions, Later, ListMail, Local, Plan, RemoteLmtp, Step
from gateway.service.final_delivery import FinalDelivery, Outcome
from gateway.service.journal import Copies, JournalDesk, Message
from gateway.service.reporting import Reporter, Result, without_success
from gateway.smtp.extensions import journalled
from gateway.store.domain_use import DOMAIN_FULL
from gateway.store.stores import Stores

DIRECT_MAX = 1000
#: a store used less than this is not asked again at RCPT for a while; delivery itself is exact
ROOMY = 0.8
ROOMY_SECONDS = 30.0
MAX_ROOMY = 10_000

_FULL = (Condition.MAILBOX_FULL, Condition.MAILBOX_FULL_FOR_NOW)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as a session received it; each recipient's `route` is its Plan.

    `head` are the fields that this host puts in front (Received; not Return-Path), `pieces` what the
    client sent, LF line ends. `by_lmtp`: the client keeps what is not accepted and hears of each recipient.
    `login` is the entry id of the account that logged in.
    """

    id: str
    envelope: Envelope
    head: bytes
    pieces: Sequence[bytes]
    client: str
    service: str
    by_lmtp: bool = False
    is_junk: bool = False
    login: str = ""
    #: a login, SPF or DKIM vouches for the return path
    vouched: bool = False
    #: the sender wants it to go then, unix time (RFC 4865); 0 = at once
    not_before: float = 0.0
    #: who may drop it while it waits, "" = nobody
    owner: str = ""


def _path(step: Step, return_path: str) -> str:
    """The return path of a step; a report stays a report."""
    return return_path if step.return_path is None or not return_path else step.return_path


def notify_of(recipient: EnvelopeRecipient) -> tuple[str, ...]:
    """What the sender wants to be told of a recipient, () = nothing was said (RFC 3461 4.1)."""
    value = recipient.parameters.get("NOTIFY")
    return tuple(value.upper().split(",")) if value else ()


def is_spread(plan: Plan) -> bool:
    """True for an address behind which there are several or a list: it is "expanded" (RFC 3461 5.2.7)."""
    return len(plan.steps) + len(plan.lost) > 1 or any(step.mailing_list is not None for step in plan.steps)


def _notify(step: Step, recipient: EnvelopeRecipient) -> tuple[str, ...]:
    """What is to be told of one step for a recipient: success was told when it was spread."""
    wanted = notify_of(recipient)
    if step.mailing_list is not None:
        return ()  # the list hears of failures, whatever the author wanted
    return without_success(wanted) if is_spread(recipient.route) else wanted


def target_of(step: Step, return_path: str, recipient: EnvelopeRecipient | None = None) -> Target:
    """The step as it stands in a queue file; `return_path` is the message's own, `recipient` as a client gave it."""
    account = (
        step.holder.id
        if isinstance(step, Local | RemoteLmtp | Instructions)
        else step.account
        if isinstance(step, Later)
        else ""
    )
    path = _path(step, return_path)
    return Target(
        step.recipient,
        account,
        None if path == return_path else path,
        () if recipient is None else _notify(step, recipient),
        "" if recipient is None else recipient.parameters.get("ORCPT", ""),
        "" if recipient is None or recipient.address == step.recipient else recipient.address,
        mailbox=step.mailbox if isinstance(step, Local) else "",
        extension=step.extension if isinstance(step, Instructions | RemoteLmtp) else None,
        list=step.mailing_list.id if step.mailing_list is not None else "",
        is_held=isinstance(step, ListMail) and step.kind == "post",
    )


class Acceptance:
    """One a process. `take` waits for disks: call it in the file pool."""

    def __init__(
        self,
        stores: Stores,
        queue: QueueFolder,
        grace: QuotaGrace,
        delivery: FinalDelivery,
        reporter: Reporter,
        bell: Path,
        journals: JournalDesk | None = None,
    ) -> None:
        self._stores, self._queue, self._grace, self._delivery, self._bell = stores, queue, grace, delivery, bell
        self._reporter, self._journals = reporter, journals
        self._roomy: dict[tuple[str, int, int], float] = {}

    def volume_of(self, envelope: Envelope) -> str:
        """The volume on which all recipients have their stores; empty when there is not just one."""
        volumes = {
            self._stores.volume_name(step.holder) if isinstance(step, Local) else ""
            for recipient in envelope.recipients
            for step in recipient.route.steps
        }
        return volumes.pop() if len(volumes) == 1 else ""

    def check_room(self, plan: Plan) -> None:
        """At RCPT: raise what a mailbox that takes nothing now or is full answers, where the recipient is one mailbox."""
        if len(plan.steps) != 1 or plan.lost or not isinstance(step := plan.steps[0], Local):
            return
        holder: MailboxHolder = step.holder
        self._stores.check_takes_mail(holder)
        if not self._stores.has_index:
            return
        if self._stores.room_of_domain(holder) == 0:
            raise self._grace.full(holder.id, time.time(), DOMAIN_FULL)
        if not (holder.quota or holder.quota_messages or holder.quota_soft):
            return
        limits = self._stores.limits(holder, note=False)
        if not limits.bytes and not limits.messages:
            return
        key = (holder.id, limits.bytes, limits.messages)
        now = time.monotonic()
        if self._roomy.get(key, 0.0) > now:
            return
        row = self._stores.repository.account(holder.id)
        used = 0.0
        if row is not None:
            used = max(
                row.used_bytes / limits.bytes if limits.bytes else 0.0,
                row.used_messages / limits.messages if limits.messages else 0.0,
            )
        if used >= 1.0:
            raise self._grace.full(holder.id, time.time())
        if used < ROOMY:
            if len(self._roomy) >= MAX_ROOMY:
                self._roomy.clear()
            self._roomy[key] = now + ROOMY_SECONDS

    def take(self, arrival: Arrival) -> list[Outcome]:
        """Deliver or queue, with a copy for each journal; for each recipient None or why not."""
        recipients = arrival.envelope.recipients
        try:
            copies = self._copies(arrival)
        except Deferred as error:
            return [error] * len(recipients)
        if copies is None:
            return self._take(arrival)
        try:
            outcomes = self._take(arrival)
        except BaseException:
            copies.drop()
            raise
        accepted = [each for each, outcome in zip(recipients, outcomes, strict=True) if outcome is None]
        if not accepted:
            copies.drop()
            return outcomes
        try:
            copies.commit(accepted)
        except Deferred as error:  # sent again, it may be there twice; without a copy it must not be
            return [outcome or error for outcome in outcomes]
        return outcomes

    def _copies(self, arrival: Arrival) -> Copies | None:
        envelope = arrival.envelope
        if arrival.by_lmtp and journalled.NAME in envelope.parameters:
            return None
        if self._journals is None or not self._journals.is_wanted(
            envelope.return_path, envelope.recipients, arrival.login, is_proven=arrival.vouched
        ):
            return None
        return self._journals.prepare(
            Message(
                arrival.id,
                envelope.return_path,
                envelope.recipients,
                envelope.parameters,
                prefixed(arrival.head, arrival.pieces),
                arrival.client,
                arrival.service,
                arrival.login,
                arrival.vouched,
            )
        )

    def _take(self, arrival: Arrival) -> list[Outcome]:
        envelope = arrival.envelope
        steps: dict[str, Step] = {}
        whose: dict[str, EnvelopeRecipient] = {}
        of_recipient: list[list[str]] = []
        for recipient in envelope.recipients:
            plan: Plan = recipient.route
            of_recipient.append([step.target for step in plan.steps])
            for step in plan.steps:
                if isinstance(step, Discard):
                    maillog.discarded(id=arrival.id, recipient=step.recipient, account=step.holder.id)
                else:
                    steps.setdefault(step.target, step)
                    whose.setdefault(step.target, recipient)
            for lost in plan.lost:
                maillog.answered(id=arrival.id, recipient=lost.recipient, client=arrival.client, error=lost.reason)
        failed: dict[str, Deferred | Refused] = {}
        if arrival.is_junk:
            for target, step in steps.items():
                if isinstance(step, Local):
                    steps[target] = replace(step, is_junk=True)
        local = [step for step in steps.values() if isinstance(step, Local)]
        if not arrival.not_before and len(local) == len(steps) and len(local) <= DIRECT_MAX:
            alike: dict[tuple[str, str], list[Local]] = {}
            for step in local:
                of_list = step.mailing_list.id if step.mailing_list is not None else ""
                alike.setdefault((_path(step, envelope.return_path), of_list), []).append(step)
            for (path, _), some in alike.items():
                errors = self._delivery.deliver(some, path, prefixed(arrival.head, arrival.pieces), arrival.id)
                for step, error in zip(some, errors, strict=True):
                    if error is not None:
                        maillog.answered(id=arrival.id, recipient=step.recipient, client=arrival.client, error=error)
                        failed[step.target] = error
        else:
            self._inject(arrival, steps, whose)
            self._log(arrival)
            self._report(arrival, {})
            return [None] * len(envelope.recipients)
        outcomes = self._settle(arrival, steps, whose, failed, of_recipient)
        if any(outcome is None for outcome in outcomes):
            self._log(arrival)
            self._report(arrival, {target: step for target, step in steps.items() if target not in failed})
        return outcomes

    def _settle(
        self,
        arrival: Arrival,
        steps: dict[str, Step],
        whose: dict[str, EnvelopeRecipient],
        failed: dict[str, Deferred | Refused],
        of: list[list[str]],
    ) -> list[Outcome]:
        """What is answered when some of a direct delivery failed."""
        own: list[Outcome] = [
            None if any(target not in failed for target in targets) else failed[targets[0]] for targets in of
        ]
        rest = set(failed)
        if arrival.by_lmtp:
            # the client keeps a recipient that got nothing; the rest of a half-served one is ours
            rest = {t for targets, error in zip(of, own, strict=True) if error is None for t in targets if t in failed}
        elif len(failed) == len(steps) and all(
            isinstance(error, Refused) or error.condition in _FULL for error in failed.values()
        ):
            return own
        if rest:
            try:
                self._inject(arrival, {target: steps[target] for target in rest}, whose)
            except Deferred as error:
                return [
                    (own[n] or error) if any(target in rest for target in targets) else own[n]
                    for n, targets in enumerate(of)
                ]
        return own if arrival.by_lmtp else [None] * len(of)

    def _inject(self, arrival: Arrival, steps: dict[str, Step], whose: dict[str, EnvelopeRecipient]) -> None:
        content = prefixed(arrival.head, arrival.pieces)
        targets = tuple(target_of(step, arrival.envelope.return_path, whose[key]) for key, step in steps.items())
        queued = self._queued(arrival, targets, content)
        self._queue.inject(queued, content)
        maillog.queued(id=arrival.id, targets=len(steps))
        ring(self._bell, arrival.id)

    @staticmethod
    def _queued(arrival: Arrival, targets: tuple[Target, ...], content: Sequence[bytes]) -> QueuedEnvelope:
        size = size_of(content)
        return QueuedEnvelope(
            arrival.id,
            arrival.envelope.return_path,
            time.time(),
            targets,
            size,
            size + lines_of(content),
            dict(arrival.envelope.parameters),
            login=arrival.login,
            is_junk=arrival.is_junk,
            is_ours=bool(arrival.login) or arrival.service == "local",
            vouched=arrival.vouched,
            not_before=arrival.not_before,
            owner=arrival.owner,
        )

    def _report(self, arrival: Arrival, delivered: dict[str, Step]) -> None:
        """Tell the sender what is known already: what is delivered or spread, if he asked, and what is lost.

        The message is taken: a report that cannot be queued is logged and given up.
        """
        envelope = arrival.envelope
        results = []
        for recipient in envelope.recipients:
            plan: Plan = recipient.route
            notify, orcpt = notify_of(recipient), recipient.parameters.get("ORCPT", "")
            if "SUCCESS" in notify and is_spread(plan):
                results.append(Result(Target(recipient.address, notify=notify, orcpt=orcpt), "expanded", Taken()))
            elif "SUCCESS" in notify:
                results += [
                    Result(target_of(step, envelope.return_path, recipient), "delivered", Taken())
                    for step in plan.steps
                    if step.target in delivered
                ]
            if plan.lost and not any(step.mailing_list is not None for step in plan.steps):
                results += [
                    Result(
                        Target(lost.recipient, notify=notify, orcpt=orcpt, original=recipient.address),
                        "failed",
                        lost.reason,
                    )
                    for lost in plan.lost
                ]
        if not results:
            return
        content = prefixed(arrival.head, arrival.pieces)
        queued = self._queued(arrival, tuple(result.target for result in results), content)
        try:
            self._reporter.report(queued, results, lambda: content, queued.arrival)
        except Deferred as error:
            for result in results:
                maillog.not_reported(id=arrival.id, recipient=result.target.address, reason=str(error))

    @staticmethod
    def _log(arrival: Arrival) -> None:
        maillog.accepted(
            id=arrival.id,
            return_path=arrival.envelope.return_path,
            size=len(arrival.head) + size_of(arrival.pieces),
            recipients=len(arrival.envelope.recipients),
            client=arrival.client,
            service=arrival.service,
        )
