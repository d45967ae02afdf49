"""Executes what an SMTP session asks: routing, spooling, taking responsibility."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from directory.model import Condition, Deferred, Refused
from gateway.files.names import unique_name
from gateway.mail import trace
from gateway.observe import maillog
from gateway.route.plan import Local, Plan
from gateway.service.host import Host
from gateway.smtp.requests import Accept, DropSpool, Spool, VerifyRecipient
from gateway.smtp.session import Session
from gateway.smtp.settings import Role

Outcome = Deferred | Refused | None


class SmtpExecutor:
    """One a session."""

    def __init__(self, session: Session, host: Host) -> None:
        self._session = session
        self._host = host
        self._spooled: list[bytes] = []

    def execute(self, request: object) -> object:
        return _EXECUTE[type(request)](self, request)

    def _verify_recipient(self, request: VerifyRecipient) -> Plan:
        try:
            return self._host.router.route(request.address, time.time())
        except (Deferred, Refused) as error:
            maillog.answered(recipient=request.address, client=self._session.client.address, error=error)
            raise

    def _spool(self, request: Spool) -> None:
        self._spooled.append(request.data)

    def _drop_spool(self, request: DropSpool) -> None:
        self._spooled.clear()

    async def _accept(self, request: Accept) -> list[Outcome]:
        pieces = [*self._spooled, *request.pieces]
        self._spooled = []
        return await self._host.in_pool(lambda: self._deliver(request, pieces))

    def _deliver(self, request: Accept, pieces: Sequence[bytes]) -> list[Outcome]:
        session, envelope = self._session, request.envelope
        message_id = unique_name("x")[:-2]
        single = envelope.recipients[0].address if len(envelope.recipients) == 1 else None
        head = trace.return_path(envelope.return_path) + trace.received(
            helo=session.helo,
            address=session.client.address,
            hostname=session.hostname,
            protocol="LMTP" if session.role is Role.LMTP else "ESMTP" if session.extended else "SMTP",
            message_id=message_id,
            recipient=single,
            now=time.time(),
            tls=session.client.tls,
        )
        content = [head, *pieces]
        size = sum(map(len, content))
        crlf = size + sum(piece.count(b"\n") for piece in content)
        outcomes: list[Outcome] = []
        for recipient in envelope.recipients:
            outcome: Outcome = None
            plan: Plan = recipient.route
            for step in plan.steps:
                if not isinstance(step, Local):
                    raise Deferred(Condition.BUG, "step without courier")
                try:
                    uid, _ = self._host.stores.deliver(step.holder, content, size, crlf, step.recipient)
                    maillog.delivered(id=message_id, recipient=step.recipient, account=step.holder.id, uid=uid)
                except (Deferred, Refused) as error:
                    maillog.answered(recipient=step.recipient, client=session.client.address, error=error)
                    outcome = error
            outcomes.append(outcome)
        maillog.accepted(
            id=message_id,
            return_path=envelope.return_path,
            size=size,
            recipients=len(envelope.recipients),
            client=session.client.address,
            service=session.role.value,
        )
        return outcomes


_EXECUTE: dict[type, Callable[..., object | Awaitable[object]]] = {
    VerifyRecipient: SmtpExecutor._verify_recipient,
    Spool: SmtpExecutor._spool,
    DropSpool: SmtpExecutor._drop_spool,
    Accept: SmtpExecutor._accept,
}
