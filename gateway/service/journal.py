"""Copies for the journals of domains: on disk before a message is answered for, in the queue if it is.

A copy is written before the message is delivered and enters the queue behind it, by a rename: a message is never
accepted without its copy, and one that is not accepted leaves none. From there it goes like any other mail from `<>`,
into a store or to another host, so trouble at the journal keeps nobody's mail waiting and is never told to an author.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from directory.model import Account, Condition, Deferred
from directory.port import Directory
from gateway.files.spool import Joined, lines_of, size_of
from gateway.mail.envelope import EnvelopeRecipient
from gateway.mail.header import Header, HeaderProblem, scan_pieces
from gateway.mail.journal import JournalReport, Named, compose, is_own, mark_of, marks
from gateway.observe import maillog
from gateway.observe.log import fields
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.wake import ring
from gateway.route.journal import Journal, concern_journals, journals
from gateway.route.plan import Plan

_log = logging.getLogger("gatepost.journal")


@dataclass(frozen=True, slots=True)
class Message:
    """What a journal is told of a message; `login` is the entry id of who was logged in, `is_proven` that the return
    path is the sender's own."""

    id: str
    return_path: str
    recipients: Sequence[EnvelopeRecipient]
    parameters: dict[str, str]
    content: Sequence[bytes]
    client: str
    service: str
    login: str
    is_proven: bool


class Copies:
    """The copies of one message, on disk and not in the queue yet."""

    def __init__(self, desk: JournalDesk, message: Message) -> None:
        """Raises Deferred."""
        self._desk, self._message = desk, message
        self._written = desk.write(message)

    def __bool__(self) -> bool:
        return bool(self._written)

    def commit(self, accepted: Sequence[EnvelopeRecipient]) -> None:
        """Into the queue. `accepted`: who of the recipients was. Raises Deferred."""
        if len(accepted) < len(self._message.recipients):
            # the others are sent again, to be named then
            with contextlib.suppress(Deferred):  # better too many are named than none
                fewer = self._desk.write(self._message, accepted)
                self.drop()
                self._written = fewer
        try:
            for copy in self._written:
                self._desk.commit(copy, self._message.id)
        except Deferred:
            self.drop()
            raise

    def drop(self) -> None:
        """Nobody was accepted."""
        for copy in self._written:
            self._desk.discard(copy)


class JournalDesk:
    """One a process; synchronous. `key` makes marks, and raises OSError or ValueError where it cannot be had."""

    def __init__(
        self, directory: Directory, queue: QueueFolder, bell: Path, hostname: str, key: Callable[[], bytes]
    ) -> None:
        self._directory, self._queue, self._bell, self._hostname, self._key = directory, queue, bell, hostname, key

    def is_wanted(
        self, return_path: str, recipients: Sequence[EnvelopeRecipient], login: str, *, is_proven: bool
    ) -> bool:
        """True when a journal wants a copy; the arguments are as in `Message`."""
        return concern_journals(self._directory, self._senders(return_path, login, is_proven), recipients)

    def prepare(self, message: Message) -> Copies | None:
        """The copies of a message, None where no journal wants it. Raises Deferred when one cannot be kept."""
        return Copies(self, message) or None

    def _senders(self, return_path: str, login: str, is_proven: bool) -> Sequence[str]:
        found = [return_path] if is_proven and return_path else []
        if login:
            entry = self._directory.by_id(login)
            if isinstance(entry, Account) and entry.primary:
                found.append(entry.primary)
        return found

    def write(
        self, message: Message, recipients: Sequence[EnvelopeRecipient] | None = None
    ) -> tuple[QueuedEnvelope, ...]:
        """Write the copies. Raises Deferred."""
        named = message.recipients if recipients is None else recipients
        senders = self._senders(message.return_path, message.login, message.is_proven)
        wanted = journals(self._directory, senders, named)
        if not wanted:
            return ()
        try:
            header = scan_pieces(iter(message.content))
        except HeaderProblem:
            header = Header(b"", (), 0)  # it is kept as it is
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"spool: {error}") from error
        if self._is_from_journal(header, message.id):
            return ()
        written: list[QueuedEnvelope] = []
        try:
            for number, journal in enumerate(wanted):
                written.append(self._write(message, journal, number, header, named))
        except BaseException:
            for copy in written:
                self.discard(copy)
            raise
        return tuple(written)

    def _is_from_journal(self, header: Header, message: str) -> bool:
        """True for a copy that our own journal got and that comes back, at last from another site's journal."""
        try:
            found = any(is_own(self._key(), mark) for mark in marks(header))
        except (OSError, ValueError) as error:
            _log.error("%s", fields(id=message, event="journal-key-unusable", detail=str(error)))
            return False
        if found:
            _log.info("%s", fields(id=message, event="not-journalled", reason="a journal's copy that came back"))
        return found

    def _write(
        self, message: Message, journal: Journal, number: int, header: Header, named: Sequence[EnvelopeRecipient]
    ) -> QueuedEnvelope:
        copy = f"{message.id}.J{number}{'' if len(named) == len(message.recipients) else 'p'}"
        now = time.time()
        try:
            mark = mark_of(self._key(), copy)
        except (OSError, ValueError) as error:
            _log.error("%s", fields(id=message.id, event="journal-key-unusable", detail=str(error)))
            mark = ""
        recipients = tuple(_named(named[each]) for each in journal.recipients)
        addresses = (*journal.addresses, message.return_path, *(one.address for one in recipients))
        utf8 = "SMTPUTF8" in message.parameters or not "".join(addresses).isascii()
        front, end = compose(
            JournalReport(
                copy,
                message.id,
                self._hostname,
                f"postmaster@{journal.domain}",
                journal.addresses,
                message.return_path,
                recipients,
                now,
                message.client,
                message.service,
                message.login,
                mark,
                utf8,
            ),
            header,
        )
        content = Joined([front], Joined(message.content, [end]))
        size = size_of(content)
        envelope = QueuedEnvelope(
            copy,
            "",
            now,
            tuple(Target(address, notify=("FAILURE",)) for address in journal.addresses),
            size,
            size + lines_of(content),
            {"SMTPUTF8": ""} if utf8 else {},
            is_ours=True,
            journal_of=journal.domain,
        )
        self._queue.write(envelope, content)
        return envelope

    def commit(self, copy: QueuedEnvelope, message: str) -> None:
        """Raises Deferred."""
        self._queue.commit(copy.id)
        maillog.journalled(id=copy.id, about=message, targets=[target.address for target in copy.targets])
        ring(self._bell, copy.id)

    def discard(self, copy: QueuedEnvelope) -> None:
        self._queue.discard(copy.id)


def _named(recipient: EnvelopeRecipient) -> Named:
    plan: Plan | None = recipient.route
    behind = tuple(dict.fromkeys(step.recipient for step in plan.steps)) if plan is not None else ()
    if len(behind) == 1 and behind[0].lower() == recipient.address.lower():
        behind = ()
    return Named(recipient.address, behind)
