"""Vacation replies of people whose entry says that they are away (RFC 3834).

A reply goes out behind a final delivery, through the queue, with the return path `<>`. Trouble with it is
logged and never touches the delivery.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from directory.model import Account, Deferred, InvalidAddress
from directory.port import Directory
from gateway.files.names import unique_name
from gateway.mail import autoreply
from gateway.mail.header import Header, HeaderProblem, scan_pieces
from gateway.mail.wire import wire_address
from gateway.observe import maillog
from gateway.policy.autoreply import is_away, period, why_not
from gateway.policy.originator import forms
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.replied import Replied
from gateway.queue.wake import ring
from gateway.route.plan import Local

DEFAULT_TEXT = (
    "I am away at the moment and will read your message when I am back.\n我目前不在，回来后会阅读您的邮件。\n"
)


class Vacation:
    """Synchronous; called in the pool that delivered."""

    def __init__(
        self, directory: Directory, replied: Replied, queue: QueueFolder, bell: Path, hostname: str, separators: str
    ) -> None:
        self._directory, self._replied, self._queue, self._bell = directory, replied, queue, bell
        self._hostname, self._separators = hostname, separators

    def after(self, step: Local, return_path: str, content: Sequence[bytes], message_id: str) -> None:
        """A message (with its header at the beginning) was delivered to `step`: answer it if that is wanted."""
        account = step.holder
        if not isinstance(account, Account) or not account.vacation or not is_away(account, now := time.time()):
            return
        reply = ""
        try:
            header = scan_pieces(iter(content))
            reason = why_not(header, return_path, lambda address: self._is_own(account, address))
            if reason is None and not self._replied.take(account.id, return_path.lower(), period(account), now):
                reason = "the sender has one already"
            if reason is None:
                reply = self._send(account, return_path, header, now)
        except (Deferred, HeaderProblem, OSError, ValueError) as error:
            reason = f"failed: {error}"
        maillog.vacation(
            id=message_id, reply=reply, account=account.id, recipient=return_path, outcome=reason or "replied"
        )

    def _is_own(self, account: Account, text: str) -> bool:
        """True for an address whose mail comes to the account; the first form that anybody owns decides."""
        try:
            candidates = forms(self._directory, text, self._separators)
        except InvalidAddress:
            return False
        for candidate in candidates:
            if candidate in account.addresses:
                return True
            if self._directory.owners(candidate):
                return False
        return False

    def _send(self, account: Account, recipient: str, header: Header, now: float) -> str:
        """The reply's id, once it is in the queue."""
        author = wire_address(account.primary or recipient)
        number = unique_name("r")[:-2]
        message = autoreply.compose(
            header,
            author=author,
            name=account.display_name or "",
            recipient=wire_address(recipient),
            subject=account.vacation_subject or "",
            text=account.vacation_text or DEFAULT_TEXT,
            message_id=f"<{number}@{self._hostname}>",
            now=now,
        )
        parameters = {} if author.isascii() and recipient.isascii() else {"SMTPUTF8": ""}
        size = len(message)
        envelope = QueuedEnvelope(
            number, "", now, (Target(recipient),), size, size + message.count(b"\n"), parameters, is_ours=True
        )
        self._queue.inject(envelope, (message,))
        ring(self._bell, number)
        return number
