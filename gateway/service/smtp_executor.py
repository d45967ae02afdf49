"""Executes what an SMTP session asks: routing, spooling, taking responsibility."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from directory.model import Account, Condition, Deferred, Recipient, Refused, ServiceAccount
from directory.port import Login
from gateway.files.names import unique_name
from gateway.files.spool import Joined, prefixed
from gateway.files.spool import Spool as SpoolFile
from gateway.filters.port import Facts, Kind, Verdict, run
from gateway.lists.copy import has_seen
from gateway.mail import trace
from gateway.mail.envelope import Envelope, EnvelopeRecipient
from gateway.mail.header import Header, HeaderProblem, scan
from gateway.mime.encoded import decode_header_text
from gateway.observe import maillog
from gateway.policy.content import foreign_author, missing_fields
from gateway.policy.originator import may_write_as
from gateway.policy.restriction import Sender, is_moderated, refusal, too_large
from gateway.policy.send_limit import counted
from gateway.queue.file import unix_owner
from gateway.route.plan import Plan, Remote
from gateway.service import sent_copies
from gateway.service.accept import Arrival
from gateway.service.checks import added as added_by
from gateway.service.checks import forged, is_relay, without
from gateway.service.driver import UPGRADE, Upgrade
from gateway.service.final_delivery import Outcome
from gateway.service.host import Host
from gateway.service.login import Peer, log_in
from gateway.service.send_counter import OverLimit
from gateway.smtp import protocol
from gateway.smtp.extensions.futurerelease import not_before
from gateway.smtp.requests import (
    Accept,
    Accepted,
    Authenticate,
    CheckOriginator,
    DropSpool,
    Spool,
    StartTls,
    VerifyRecipient,
)
from gateway.smtp.session import Session
from gateway.smtp.settings import OPEN_RELAY, Role

CHECK_SECONDS = 60.0  # for all content checks together
MAX_NAMED = 1000  # recipients of a message in its trail
MAX_SHOWN = 500  # octets of a field


def _shown(header: Header, name: bytes) -> str:
    """A field for people."""
    found = header.all(name)
    return decode_header_text(header.unfolded(found[0])[:MAX_SHOWN]) if found else ""


def _is_outside(plan: Plan) -> bool:
    """Is the recipient himself on another host? (Not: where somebody here forwards his mail to.)"""
    return plan.entry is None and any(isinstance(step, Remote) for step in plan.steps)


class SmtpExecutor:
    """One a session."""

    def __init__(self, session: Session, host: Host, peer: Peer | None = None) -> None:
        self._session = session
        self._peer = peer
        self._host = host
        self._spooled: SpoolFile | None = None

    def execute(self, request: object) -> object:
        return _EXECUTE[type(request)](self, request)

    def _start_tls(self, request: StartTls) -> Upgrade:
        return UPGRADE

    def _account(self) -> Account | ServiceAccount | None:
        """The entry that is logged in, as it is now. Raises Deferred, Refused."""
        login = self._session.login
        if login is None:
            return None
        entry = self._host.directory.by_id(login.account)
        if not isinstance(entry, Account | ServiceAccount):
            if self._host.directory.freshness().absence_is_final(time.time()):
                raise Refused(Condition.SENDER_NOT_OWNED, f"{login.account} is gone")
            raise Deferred(Condition.DIRECTORY_STALE, f"{login.account} is not in the copy")
        if entry.status != "active":
            raise Refused(Condition.SENDER_NOT_OWNED, f"{entry.dn}: {entry.status}")
        return entry

    async def _authenticate(self, request: Authenticate) -> Login:
        try:
            return await log_in(
                self._host, self._peer, "submission", self._session.client.address, request.login, request.password
            )
        except Deferred as error:
            if error.condition is Condition.TOO_MANY_CONNECTIONS:  # 421 would end the session
                raise Deferred(Condition.AUTHENTICATION_UNAVAILABLE, error.detail, error.text) from None
            raise

    def _owner(self) -> str:
        """Who may drop the session's mail while it waits."""
        session = self._session
        if session.login is not None:
            return session.login.account
        return unix_owner(session.client.uid) if session.client.uid is not None else ""

    def _check_originator(self, request: CheckOriginator) -> None:
        account = self._account()
        assert account is not None
        self._check_brake(account.id)
        if request.return_path and not self._may_write_as(account, request.return_path):
            raise self._not_own(Refused(Condition.SENDER_NOT_OWNED, f"{account.dn}: {request.return_path}"))
        self._check_size(account, request.size)

    def _check_brake(self, account: str) -> None:
        """Raise Deferred for an account that sends nothing at the moment."""
        try:
            self._host.watch.check(account)
        except Deferred as error:
            maillog.answered(recipient="-", client=self._session.client.address, error=error)
            raise

    def _may_write_as(self, account: Account | ServiceAccount, address: str) -> bool:
        return may_write_as(self._host.directory, account, address, self._host.settings.route.extension_separator)

    def _not_own(self, error: Refused) -> Deferred | Refused:
        """`error`, unless the copy of the directory is too old to be sure of it."""
        freshness = self._host.directory.freshness()
        if freshness.absence_is_final(time.time()):
            return error
        return Deferred(Condition.DIRECTORY_STALE, freshness.braked or "copy is not fresh")

    @staticmethod
    def _check_size(account: Account | ServiceAccount, size: int | None) -> None:
        if size is not None and account.max_message_size and size > account.max_message_size:
            raise Refused(Condition.MESSAGE_TOO_LARGE, f"{account.dn}: gatepostMaxMessageSize")

    def _check_sender(self, sender: Sender, entry: Recipient) -> bool:
        """Raise why `sender` may not write to `entry`; True when moderators see it first."""
        if entry.accept_from or entry.reject_from:
            error = refusal(self._host.directory, entry, sender)
            if error is not None:
                raise self._not_own(error)
        return is_moderated(self._host.directory, entry, sender)

    def _may_leave(self, account: Account | ServiceAccount | None) -> bool:
        """May this session's mail go outside?"""
        role = self._session.role
        if role is Role.MX:
            return self._host.settings.smtp.open_relay == OPEN_RELAY
        return role is Role.LOCAL or (role is Role.SUBMISSION and account is not None)

    def _verify_recipient(self, request: VerifyRecipient) -> Plan:
        envelope = request.envelope
        try:
            account = self._account()
            if account is not None and account.max_recipients and len(envelope.recipients) >= account.max_recipients:
                text = f"a message of yours may have {account.max_recipients} recipients"
                raise Deferred(Condition.SENDING_TOO_FAST, f"{account.dn}: gatepostMaxRecipients", text)
            plan = self._host.router.route(
                request.address,
                time.time(),
                outside=self._may_leave(account),
                local_only=self._session.role is Role.LMTP,
                gate=partial(
                    self._check_sender,
                    Sender(envelope.return_path, account, self._host.settings.route.extension_separator),
                ),
                sender=envelope.return_path,
            )
            size = envelope.parameters.get("SIZE")
            if size and plan.entry is not None and (error := too_large(plan.entry, int(size))) is not None:
                raise error
            self._host.acceptance.check_room(plan)
            return plan
        except (Deferred, Refused) as error:
            login = self._session.login
            if login is not None and error.condition in (Condition.NO_SUCH_RECIPIENT, Condition.ACCOUNT_CLOSED):
                self._host.watch.refused(login.account)
            maillog.answered(
                sender=envelope.return_path,
                recipient=request.address,
                client=self._session.client.address,
                error=error,
            )
            raise

    async def _spool(self, request: Spool) -> None:
        await self._host.in_pool(lambda: self._write(request.pieces))

    def _write(self, pieces: Sequence[bytes]) -> None:
        try:
            if self._spooled is None:
                folder = os.path.join(self._host.settings.state_dir, "spool")
                os.makedirs(folder, mode=0o700, exist_ok=True)
                self._spooled = SpoolFile(folder)
            self._spooled.append(pieces)
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"spool: {error}") from error

    def _drop_spool(self, request: DropSpool) -> None:
        self.close()

    def close(self) -> None:
        """The session has ended: what it spooled is gone with it."""
        self._spooled = None

    async def _accept(self, request: Accept) -> Accepted:
        session, host = self._session, self._host
        try:
            header = scan(request.content, whole=not request.spooled)
        except HeaderProblem as problem:
            self.close()
            raise Refused(Condition.BAD_MESSAGE, str(problem), str(problem)) from None
        message_id = unique_name("x")[:-2]
        try:
            added = self._check(request, header, message_id)
            filters = host.settings.filters
            own = filters.authserv_id or session.hostname
            by_relay = session.role is Role.LMTP or is_relay(filters.relays, session.client.address)
            facts = Facts(
                request.envelope,
                header,
                session.client.address,
                session.role.value,
                session.hostname,
                message_id,
                session.helo,
                session.login.account if session.login is not None else "",
                by_relay,
            )
            out = header.all(b"return-path")
            if not by_relay:
                out += forged(header, own)
            pieces: Sequence[bytes] = header.without_fields(out)
            spooled, self._spooled = self._spooled, None
            if request.spooled and spooled is not None:
                pieces = Joined(pieces, spooled)
            verdict = await run(host.checks, facts, pieces, time.monotonic() + CHECK_SECONDS)
            if verdict.removed:
                front = without(header, out, verdict.removed)
                pieces = Joined(front, pieces.rest) if isinstance(pieces, Joined) else front
            await self._count(request.envelope)
        except (Deferred, Refused) as error:
            self.close()
            maillog.answered(
                id=message_id,
                sender=request.envelope.return_path,
                recipient="-",
                client=session.client.address,
                error=error,
            )
            raise
        own_lines = added_by(verdict, own), added
        maillog.received(
            id=message_id,
            return_path=request.envelope.return_path,
            recipients=[recipient.address for recipient in request.envelope.recipients[:MAX_NAMED]],
            size=request.size,
            client=session.client.address,
            service=session.role.value,
            login=session.login.account if session.login is not None else "",
            message_id=_shown(header, b"message-id"),
            subject=_shown(header, b"subject"),
        )
        volume = host.acceptance.volume_of(request.envelope)
        outcomes = await host.in_pool(
            lambda: self._deliver(request, header, pieces, own_lines, message_id, verdict), volume
        )
        return Accepted(message_id, outcomes)

    def _check(self, request: Accept, header: Header, message_id: str) -> bytes:
        """Refuse what may not be sent; answers the fields that submission adds."""
        session = self._session
        if session.role is Role.LOCAL:
            return missing_fields(header, message_id=message_id, hostname=session.hostname, now=time.time())
        if session.role is not Role.SUBMISSION:
            return b""
        account = self._account()
        assert account is not None
        self._check_size(account, request.size)
        foreign = foreign_author(header, lambda author: self._may_write_as(account, author))
        if foreign is not None:
            raise self._not_own(foreign) if foreign.condition is Condition.AUTHOR_NOT_OWNED else foreign
        return missing_fields(header, message_id=message_id, hostname=session.hostname, now=time.time())

    @staticmethod
    def _leave_loop(recipient: EnvelopeRecipient, header: Header) -> Refused | None:
        """Take lists that the message has been through out of the plan; why, when nothing is left of it."""
        plan: Plan = recipient.route
        lists = {step.mailing_list.id: step.mailing_list for step in plan.steps if step.mailing_list is not None}
        seen = [one for one in lists.values() if has_seen(header, one)]
        if not seen:
            return None
        names = {one.id for one in seen}
        left = tuple(step for step in plan.steps if step.mailing_list is None or step.mailing_list.id not in names)
        if not left:
            text = "this message has been through the list already"
            return Refused(Condition.LIST_LOOP, f"{seen[0].dn}: X-Loop or List-Id", text)
        recipient.route = replace(plan, steps=left)
        return None

    async def _count(self, envelope: Envelope) -> None:
        """Raise Deferred when the account, or its domain, has sent enough for now."""
        host, account = self._host, self._account()
        if account is None:
            return
        host.watch.check(account.id)  # it may have been stopped since MAIL
        wanted = counted(host.directory, account, envelope.return_path, host.settings.defaults.send_limits)
        recipients = len(envelope.recipients)
        if wanted:
            try:
                await host.in_pool(lambda: host.send_counter.take(wanted, recipients, time.time()))
            except OverLimit as error:
                if error.who == account.id:
                    host.watch.limited(account.id)
                raise
        outside = [each.address.lower() for each in envelope.recipients if _is_outside(each.route)]
        host.watch.sent(account.id, recipients, outside, self._session.client.address)

    def _deliver(
        self,
        request: Accept,
        header: Header,
        pieces: Sequence[bytes],
        lines: tuple[bytes, bytes],
        message_id: str,
        verdict: Verdict,
    ) -> list[Outcome]:
        """`lines` go above our Received field (results, RFC 8601 4.1) and below it (what submission adds)."""
        session, envelope = self._session, request.envelope
        kept: list[EnvelopeRecipient] = []
        outcomes: list[Outcome] = []
        for recipient in envelope.recipients:
            entry = recipient.route.entry
            error = too_large(entry, request.size) if entry is not None else None
            if error is None:
                error = self._leave_loop(recipient, header)
            outcomes.append(error)
            if error is None:
                kept.append(recipient)
        if not kept:
            return outcomes
        taken = replace(envelope, recipients=kept)
        head = trace.received(
            helo=session.helo if session.client.uid is None else f"uid-{session.client.uid}",
            address=session.client.address,
            hostname=session.hostname,
            protocol=protocol.keyword(session, utf8="SMTPUTF8" in envelope.parameters),
            message_id=message_id,
            recipient=kept[0].address if len(envelope.recipients) == 1 else None,
            now=time.time(),
            tls=session.client.tls,
        )
        results = iter(
            self._host.acceptance.take(
                Arrival(
                    message_id,
                    taken,
                    lines[0] + head + lines[1],
                    pieces,
                    session.client.address,
                    session.role.value,
                    by_lmtp=session.role is Role.LMTP,
                    login=session.login.account if session.login is not None else "",
                    is_junk=verdict.kind is Kind.JUNK,
                    vouched=verdict.vouched or session.login is not None or session.role is Role.LOCAL,
                    not_before=not_before(envelope.parameters, time.time()),
                    owner=self._owner(),
                )
            )
        )
        answers = [error if error is not None else next(results) for error in outcomes]
        if session.role is Role.SUBMISSION and any(answer is None for answer in answers):
            self._keep_sent(header, prefixed(lines[1], pieces), message_id)
        return answers

    def _keep_sent(self, header: Header, content: Sequence[bytes], message_id: str) -> None:
        host, settings = self._host, self._host.settings
        if settings.smtp.keep_sent_shared:
            separators = settings.route.extension_separator
            for holder in sent_copies.authors(host.directory, header, separators, settings.hostname):
                sent_copies.keep(host.stores, holder, content, message_id)


_EXECUTE: dict[type, Callable[..., object | Awaitable[object]]] = {
    Authenticate: SmtpExecutor._authenticate,
    CheckOriginator: SmtpExecutor._check_originator,
    VerifyRecipient: SmtpExecutor._verify_recipient,
    StartTls: SmtpExecutor._start_tls,
    Spool: SmtpExecutor._spool,
    DropSpool: SmtpExecutor._drop_spool,
    Accept: SmtpExecutor._accept,
}
