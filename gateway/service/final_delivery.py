"""Final delivery into stores of this host, from a session and from the queue alike, and what follows from it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from directory.model import Condition, Deferred, Refused
from gateway.files.spool import Joined, lines_of, prefixed, size_of, split
from gateway.lists.copy import Rewriting, copied
from gateway.mail import trace
from gateway.observe import maillog
from gateway.queue.grace import QuotaGrace
from gateway.route.plan import Local
from gateway.service.vacation import Vacation
from gateway.store.repository import INBOX, MessageRow
from gateway.store.stores import Stores
from gateway.store.stores import Target as StoreTarget

Outcome = Deferred | Refused | None


class FinalDelivery:
    """Synchronous; called in a pool."""

    def __init__(self, stores: Stores, grace: QuotaGrace, vacation: Vacation, web: str = "") -> None:
        """`web` is the address of the web front end, for the list's copies of messages."""
        self._stores, self._grace, self._vacation = stores, grace, vacation
        self._copies = Rewriting(web=web)

    def deliver(self, steps: Sequence[Local], path: str, content: Sequence[bytes], message_id: str) -> list[Outcome]:
        """The same octets, `content` behind a Return-Path field, into several stores, each for itself: one file
        a volume, the rest links. Everything delivered is durable; a full store gets the answer of its grace.
        The steps are all of one list, which sends its copy, or of none. Junk goes to the mailbox for it and is not
        answered.
        """
        if steps and steps[0].mailing_list is not None:
            front, behind = split(content)
            own = list(copied(front, steps[0].mailing_list, self._copies))
            content = Joined(own, behind) if behind else own
        octets = prefixed(trace.return_path(path), content)
        size = size_of(octets)
        crlf = size + lines_of(octets)
        answers = self._stores.deliver_many(
            [StoreTarget(step.holder, step.recipient, step.mailbox or INBOX, step.is_junk) for step in steps],
            octets,
            size,
            crlf,
        )
        if len(steps) == 1:
            return self._concluded(steps, answers, path, content, message_id)
        with maillog.together():
            return self._concluded(steps, answers, path, content, message_id)

    def _concluded(
        self,
        steps: Sequence[Local],
        answers: Sequence[MessageRow | Deferred | Refused],
        path: str,
        content: Sequence[bytes],
        message_id: str,
    ) -> list[Outcome]:
        """What follows from each answer of a store."""
        outcomes: list[Outcome] = []
        for step, answer in zip(steps, answers, strict=True):
            account = step.holder.id
            if isinstance(answer, MessageRow):
                self._grace.has_room(account, has_soft=bool(step.holder.quota_soft))
                maillog.delivered(id=message_id, recipient=step.recipient, account=account, uid=answer.uid)
                if not step.is_junk:
                    self._vacation.after(step, path, content, message_id)
                outcomes.append(None)
            elif isinstance(answer, Refused) and answer.condition is Condition.MAILBOX_FULL:
                outcomes.append(self._grace.full(account, time.time(), answer.detail))
            else:
                outcomes.append(answer)
        return outcomes
