"""Who is told what became of a message: reports on delivery go into the queue as messages from `<>` (RFC 3461 5.2).

    recipient's NOTIFY       reported
    NEVER                    nothing
    SUCCESS                  delivered, relayed to a host without DSN, expanded
    FAILURE                  failed
    DELAY                    delayed
    not given                failed, delayed

A sender is told only when a login, SPF or DKIM vouches for the return path (`bounce.to_strangers` lifts this), a
list only what failed for good. What a message from `<>` has to tell goes to the postmaster if it is itself a
report or a journal's copy, else nowhere; a report to the postmaster that fails is logged, and there it ends. A
journal's copy that is too large for the report goes to the postmaster as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from directory.model import Deferred, InvalidAddress, Refused, canonical_address
from gateway.deliver.port import Outcome, Taken
from gateway.mail import dsn
from gateway.mail.dsn import Action, Fate, Report
from gateway.mail.header import MAX_HEADER, HeaderProblem, scan
from gateway.mail.settings import BounceSettings
from gateway.mail.wire import wire_address
from gateway.observe import maillog
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.wake import ring
from gateway.route.router import Router

_KIND = {"failed": "FAILURE", "delayed": "DELAY", "delivered": "SUCCESS", "relayed": "SUCCESS", "expanded": "SUCCESS"}
_NO_REASON = {"failed": ""}
_NOT_GIVEN = ("FAILURE", "DELAY")


@dataclass(frozen=True, slots=True)
class Result:
    """What an attempt, the `attempts`th, did for one target."""

    target: Target
    kind: Action
    outcome: Outcome
    attempts: int = 1


def _why_not(result: Result) -> str:
    """Why nobody asked for a report of this; "" = it is wanted."""
    target = result.target
    if result.kind == "relayed" and isinstance(result.outcome, Taken) and result.outcome.dsn:
        return "the next host reports"
    if _KIND[result.kind] not in (target.notify or _NOT_GIVEN):
        return "not asked for"
    if target.list and result.kind != "failed":
        return "a list's copy"
    return ""


def without_success(notify: tuple[str, ...]) -> tuple[str, ...]:
    """What is still to be told of those behind an address whose success was told (RFC 3461 5.2.7)."""
    if "SUCCESS" not in notify:
        return notify
    return tuple(kind for kind in notify if kind != "SUCCESS") or ("NEVER",)


class Reporter:
    """Synchronous. `lifetime` is how long the queue tries (seconds)."""

    def __init__(
        self,
        queue: QueueFolder,
        router: Router,
        settings: BounceSettings,
        *,
        hostname: str,
        bell: Path,
        lifetime: float,
    ) -> None:
        self._queue, self._router, self._settings = queue, router, settings
        self._hostname, self._bell, self._lifetime = hostname, bell, lifetime

    def report(
        self,
        envelope: QueuedEnvelope,
        results: Sequence[Result],
        content: Callable[[], Iterable[bytes]],
        now: float,
    ) -> None:
        """Put one report for each return path into the queue, or none where nobody is to be told.

        `results` are of one attempt, `content` gives the message from its beginning. The same call twice makes
        the same report under the same name. Raises Deferred when the queue cannot take it.
        """
        groups: dict[str, list[Result]] = {}
        for result in results:
            path = envelope.path_of(result.target)
            # a report says NOTIFY=NEVER, which its double bounce does not heed
            reason = _why_not(result) if path else _NO_REASON.get(result.kind, "from the null path")
            if not reason and path and result.target.return_path is None and not self._may_tell(envelope):
                reason = "nobody vouches for the return path"
            if not reason:
                groups.setdefault(path, []).append(result)
            elif result.kind == "failed":
                maillog.not_reported(id=envelope.id, recipient=result.target.address, reason=reason)
        for path, some in groups.items():
            if path:
                self._tell(envelope, path, some, content, now)
            else:
                self._tell_postmaster(envelope, some, content, now)

    def _may_tell(self, envelope: QueuedEnvelope) -> bool:
        return envelope.vouched or self._settings.to_strangers

    def _tell(
        self,
        envelope: QueuedEnvelope,
        path: str,
        results: Sequence[Result],
        content: Callable[[], Iterable[bytes]],
        now: float,
    ) -> None:
        address = wire_address(path)
        wide = not address.isascii() or "SMTPUTF8" in envelope.parameters
        has_failed = any(result.kind == "failed" for result in results)
        # RFC 3461 4.3: a report of anything but failure returns the header only
        returns_whole = has_failed and envelope.parameters.get("RET", "").upper() != "HDRS"
        self._send(envelope, Target(address, notify=("NEVER",)), address, results, content, now, wide, returns_whole)

    def _tell_postmaster(
        self,
        envelope: QueuedEnvelope,
        results: Sequence[Result],
        content: Callable[[], Iterable[bytes]],
        now: float,
    ) -> None:
        reason = "the postmaster cannot be told" if envelope.double_bounce else ""
        if not reason and not envelope.journal_of and not _is_report(self._beginning(content)):
            reason = "from the null path and no report"
        if reason:
            for result in results:
                maillog.not_reported(id=envelope.id, recipient=result.target.address, reason=reason)
            return
        whose = f"postmaster@{envelope.journal_of}" if envelope.journal_of else ""
        domain = self._own_domain([whose, *(result.target.address for result in results)])
        address = f"postmaster@{domain or self._hostname}"
        target = Target(address if domain else "postmaster", notify=("NEVER",))
        wide = "SMTPUTF8" in envelope.parameters
        self._send(envelope, target, address, results, content, now, wide, returns_whole=True)
        if envelope.journal_of and envelope.size > self._settings.max_message_size:
            self._hand_over(envelope, target, content, now)

    def _hand_over(
        self, envelope: QueuedEnvelope, target: Target, content: Callable[[], Iterable[bytes]], now: float
    ) -> None:
        """The message itself to the postmaster, whose failure is not told. The same name each time."""
        number = f"{envelope.id}.{hashlib.sha256(f'{target.address}|{target.account}'.encode()).hexdigest()[:8]}p"
        fresh = msgspec.structs.replace(envelope, id=number, arrival=now, targets=(target,), double_bounce=True)
        self._queue.inject(fresh, list(content()), is_report=True)
        maillog.queued(id=number, targets=1, about=envelope.id)
        ring(self._bell, number)

    def _send(
        self,
        envelope: QueuedEnvelope,
        target: Target,
        address: str,
        results: Sequence[Result],
        content: Callable[[], Iterable[bytes]],
        now: float,
        wide: bool,
        returns_whole: bool,
    ) -> None:
        header, whole = self._quoted(content, returns_whole)
        is_double = not envelope.return_path and not any(result.target.return_path for result in results)
        mark = "|".join(f"{r.kind} {r.target.address} {r.target.account} {r.attempts}" for r in results)
        number = f"{envelope.id}.{hashlib.sha256(f'{address}|{mark}'.encode()).hexdigest()[:8]}"
        domain = self._own_domain(
            [*(r.target.original or r.target.address for r in results), envelope.return_path, address]
        )
        report = Report(
            number,
            envelope.id,
            self._hostname,
            f"mailer-daemon@{domain or self._first_domain() or self._hostname}",
            address,
            envelope.arrival,
            now,
            tuple(self._fate(result, envelope) for result in results),
            envelope.parameters.get("ENVID", ""),
            wide,
            is_double,
            bool(envelope.journal_of),
        )
        octets = dsn.compose(report, header, whole)
        parameters = {} if octets.isascii() else {"BODY": "8BITMIME"}
        if wide:
            parameters["SMTPUTF8"] = ""
        size = len(octets)
        self._queue.inject(
            QueuedEnvelope(
                number,
                "",
                now,
                (target,),
                size,
                size + octets.count(b"\n"),
                parameters,
                double_bounce=is_double,
                is_ours=True,
            ),
            (octets,),
            is_report=True,
        )
        maillog.reported(
            id=number,
            about=envelope.id,
            recipient=target.address,
            actions=sorted({result.kind for result in results}),
            double=is_double,
        )
        ring(self._bell, number)

    def _fate(self, result: Result, envelope: QueuedEnvelope) -> Fate:
        target, outcome = result.target, result.outcome
        answer = outcome if isinstance(outcome, Deferred | Refused) else None
        expired = result.kind == "failed" and isinstance(outcome, Deferred)
        condition = answer.condition if answer is not None else None
        if expired:
            status = "5.4.7"  # RFC 3463 3.5: delivery time expired
        else:
            status = dsn.status_of(result.kind, answer.status if answer is not None else "", condition)
        return Fate(
            wire_address(target.address),
            result.kind,
            status,
            condition,
            given=target.original,
            original=target.orcpt,
            host=outcome.host,
            reply=outcome.reply or _own_words(answer),
            retry_until=envelope.began + self._lifetime if result.kind == "delayed" else None,
            expired=expired,
        )

    def _quoted(self, content: Callable[[], Iterable[bytes]], returns_whole: bool) -> tuple[bytes, bytes | None]:
        """(header, whole message or None), both within the limit."""
        limit = self._settings.max_message_size
        front = self._beginning(content, max(limit, MAX_HEADER) + 1)
        whole = front if returns_whole and len(front) <= limit else None
        return dsn.header_of(front, limit), whole

    @staticmethod
    def _beginning(content: Callable[[], Iterable[bytes]], limit: int = MAX_HEADER) -> bytes:
        front = b""
        pieces = iter(content())
        try:
            for piece in pieces:
                front += piece
                if len(front) >= limit:
                    break
        finally:
            if isinstance(pieces, Iterator) and hasattr(pieces, "close"):
                pieces.close()  # a generator that holds a file
        return front[:limit]

    def _own_domain(self, addresses: Iterable[str]) -> str:
        """The first own domain among those of the addresses, "" = none."""
        for text in addresses:
            try:
                domain = self._router.directory.domain(canonical_address(text).domain)
            except InvalidAddress:
                continue
            if domain is not None and domain.kind == "local":
                return domain.name
        return ""

    def _first_domain(self) -> str:
        return next((domain.name for domain in self._router.directory.domains() if domain.kind == "local"), "")


def _own_words(answer: Deferred | Refused | None) -> str:
    """A reply of ours that says more than its condition, as a rule with a text of its own does."""
    if answer is None or answer.text == answer.condition.text:
        return ""
    return f"{answer.condition.code} {answer.condition.enhanced} {answer.text}"


def _is_report(front: bytes) -> bool:
    """True for a message that says what became of another one (RFC 6522)."""
    try:
        header = scan(front, whole=False) if b"\n\n" in front else scan(front)
    except HeaderProblem:
        return False
    values = [header.unfolded(field).lower() for field in header.all(b"content-type")]
    return any(value.startswith(b"multipart/report") for value in values)
