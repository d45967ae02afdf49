"""Executes what an SMTP session asks: routing, spooling, taking responsibility."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from directory.model import Deferred, Refused
from gateway.files.names import unique_name
from gateway.filters.hops import header_of
from gateway.filters.port import Facts, run
from gateway.mail import trace
from gateway.observe import maillog
from gateway.route.plan import Plan
from gateway.service.accept import Arrival, Outcome
from gateway.service.host import Host
from gateway.smtp.requests import Accept, DropSpool, Spool, VerifyRecipient
from gateway.smtp.session import Session
from gateway.smtp.settings import Role

CHECK_SECONDS = 60.0  # for all content checks together


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
            plan = self._host.router.route(
                request.address,
                time.time(),
                outside=self._session.role is Role.SUBMISSION and self._session.login is not None,
                local_only=self._session.role is Role.LMTP,
            )
            self._host.acceptance.check_room(plan)
            return plan
        except (Deferred, Refused) as error:
            maillog.answered(recipient=request.address, client=self._session.client.address, error=error)
            raise

    def _spool(self, request: Spool) -> None:
        self._spooled.append(request.data)

    def _drop_spool(self, request: DropSpool) -> None:
        self._spooled.clear()

    async def _accept(self, request: Accept) -> list[Outcome]:
        pieces = [*self._spooled, *request.pieces]
        if pieces:
            pieces[0] = trace.without_return_path(pieces[0])
        self._spooled = []
        session = self._session
        facts = Facts(request.envelope, header_of(pieces), session.client.address, session.role.value, session.hostname)
        verdict = await run(self._host.checks, facts, pieces, time.monotonic() + CHECK_SECONDS)
        return await self._host.in_pool(lambda: self._deliver(request, pieces, b"".join(verdict.header_lines)))

    def _deliver(self, request: Accept, pieces: Sequence[bytes], lines: bytes) -> list[Outcome]:
        session, envelope = self._session, request.envelope
        message_id = unique_name("x")[:-2]
        single = envelope.recipients[0].address if len(envelope.recipients) == 1 else None
        head = trace.received(
            helo=session.helo,
            address=session.client.address,
            hostname=session.hostname,
            protocol="LMTP" if session.role is Role.LMTP else "ESMTP" if session.extended else "SMTP",
            message_id=message_id,
            recipient=single,
            now=time.time(),
            tls=session.client.tls,
        )
        return self._host.acceptance.take(
            Arrival(
                message_id,
                envelope,
                head + lines,
                pieces,
                session.client.address,
                session.role.value,
                by_lmtp=session.role is Role.LMTP,
            )
        )


_EXECUTE: dict[type, Callable[..., object | Awaitable[object]]] = {
    VerifyRecipient: SmtpExecutor._verify_recipient,
    Spool: SmtpExecutor._spool,
    DropSpool: SmtpExecutor._drop_spool,
    Accept: SmtpExecutor._accept,
}
