"""Taking responsibility for a message: everything accepted is on disk when `take` returns.

Every step a store of this host and at most DIRECT_MAX of them: direct delivery, no queue file. Anything
else goes into the queue whole. A direct delivery that half fails leaves the rest to the queue.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from directory.model import Condition, Deferred, MailboxHolder, Refused
from gateway.files.spool import lines_of, prefixed, size_of
from gateway.mail.envelope import Envelope
from gateway.observe import maillog
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.grace import QuotaGrace
from gateway.queue.wake import ring
from gateway.route.plan import Discard, Instructions, Later, ListMail, Local, Plan, RemoteLmtp, Step
from gateway.service.final_delivery import FinalDelivery, Outcome
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
    login: str = ""


def _path(step: Step, return_path: str) -> str:
    """The return path of a step; a report stays a report."""
    return return_path if step.return_path is None or not return_path else step.return_path


def target_of(step: Step, return_path: str) -> Target:
    """The step as it stands in a queue file; `return_path` is the message's own."""
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
        mailbox=step.mailbox if isinstance(step, Local) else "",
        extension=step.extension if isinstance(step, Instructions) else None,
        list=step.mailing_list.id if step.mailing_list is not None else "",
        is_held=isinstance(step, ListMail) and step.kind == "post",
    )


class Acceptance:
    """One a process. `take` waits for disks: call it in the file pool."""

    def __init__(
        self, stores: Stores, queue: QueueFolder, grace: QuotaGrace, delivery: FinalDelivery, bell: Path
    ) -> None:
        self._stores, self._queue, self._grace, self._delivery, self._bell = stores, queue, grace, delivery, bell
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
        if not self._stores.has_index or not (holder.quota or holder.quota_messages or holder.quota_soft):
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
        """Deliver or queue; for each recipient None or why not."""
        envelope = arrival.envelope
        steps: dict[str, Step] = {}
        of_recipient: list[list[str]] = []
        for recipient in envelope.recipients:
            plan: Plan = recipient.route
            of_recipient.append([step.target for step in plan.steps])
            for step in plan.steps:
                if isinstance(step, Discard):
                    maillog.discarded(id=arrival.id, recipient=step.recipient, account=step.holder.id)
                else:
                    steps.setdefault(step.target, step)
            for lost in plan.lost:
                maillog.answered(id=arrival.id, recipient=lost.recipient, client=arrival.client, error=lost.reason)
        failed: dict[str, Deferred | Refused] = {}
        local = [step for step in steps.values() if isinstance(step, Local)]
        if len(local) == len(steps) and len(local) <= DIRECT_MAX:
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
            self._inject(arrival, list(steps.values()))
            self._log(arrival)
            return [None] * len(envelope.recipients)
        outcomes = self._settle(arrival, steps, failed, of_recipient)
        if any(outcome is None for outcome in outcomes):
            self._log(arrival)
        return outcomes

    def _settle(
        self, arrival: Arrival, steps: dict[str, Step], failed: dict[str, Deferred | Refused], of: list[list[str]]
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
                self._inject(arrival, [steps[target] for target in rest])
            except Deferred as error:
                return [
                    (own[n] or error) if any(target in rest for target in targets) else own[n]
                    for n, targets in enumerate(of)
                ]
        return own if arrival.by_lmtp else [None] * len(of)

    def _inject(self, arrival: Arrival, steps: Sequence[Step]) -> None:
        content = prefixed(arrival.head, arrival.pieces)
        size = size_of(content)
        queued = QueuedEnvelope(
            arrival.id,
            arrival.envelope.return_path,
            time.time(),
            tuple(target_of(step, arrival.envelope.return_path) for step in steps),
            size,
            size + lines_of(content),
            dict(arrival.envelope.parameters),
            login=arrival.login,
        )
        self._queue.inject(queued, content)
        maillog.queued(id=arrival.id, targets=len(steps))
        ring(self._bell)

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
