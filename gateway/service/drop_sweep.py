"""Takes what programs of this host left in `spool/drop` into the queue: at start, then each minute.

A crash between the queue file and the removal of the dropped one takes the message in again under the same id, before
the queue is worked on. The message enters the queue behind its journals' copies: while one of them cannot be kept
nothing has come in, and the next round begins anew. A file that cannot be removed is not taken in again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path

from directory.model import Condition, Deferred, InvalidAddress, Refused
from gateway.config.settings import Settings
from gateway.files import drop
from gateway.files.spool import lines_of, size_of
from gateway.mail import trace
from gateway.mail.envelope import EnvelopeRecipient
from gateway.mail.header import Header, HeaderProblem, scan
from gateway.observe import maillog
from gateway.observe.log import fields
from gateway.policy.content import looping, missing_fields
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target, unix_owner
from gateway.queue.wake import ring
from gateway.route.plan import Plan
from gateway.route.router import Router
from gateway.service.journal import JournalDesk, Message

SWEEP_SECONDS = 60.0
MOST_AT_ONCE = 1000
MAX_NAMED, MAX_SHOWN = 100, 500  # of recipients, and of characters of a field, in the trail
_log = logging.getLogger("gatepost.drop")


def _parameters(envelope: drop.DropEnvelope) -> dict[str, str]:
    """Those of MAIL that the queue keeps (RFC 3461)."""
    known = {name: value for name, value in envelope.parameters.items() if name in ("RET", "ENVID")}
    return {name: value for name, value in known.items() if value.isascii() and value.isprintable() and value}


def _field(header: Header, name: bytes) -> str:
    """The first field of that name as text, "" without one."""
    return next((header.unfolded(field).decode("utf-8", "replace")[:MAX_SHOWN] for field in header.all(name)), "")


class DropSweep:
    """One a host. `sweep` waits for disks."""

    def __init__(self, settings: Settings, queue: QueueFolder, router: Router, journals: JournalDesk) -> None:
        self._settings, self._queue, self._router, self._journals = settings, queue, router, journals
        self.folder = Path(settings.state_dir) / "spool" / "drop"
        self._refused: set[str] = set()
        #: by the names of files that are still there, the messages of them that are in the queue
        self._taken: dict[str, str] = {}

    def sweep(self) -> int:
        """Take everything in: how many messages. What is no mail stays where it is, and is told once. Raises Deferred,
        and OSError for a file that is in trouble, when the others are taken in."""
        taken = 0
        trouble: OSError | None = None
        try:
            present = list(drop.names(self.folder, time.time()))
        except FileNotFoundError:
            return 0
        self._refused.intersection_update(present)
        for gone in self._taken.keys() - set(present):
            del self._taken[gone]
        if present and not self._router.directory.freshness().complete:  # who has a journal is not known
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, "no complete copy of the directory yet")
        try:
            for name in present:
                if name in self._refused:
                    continue
                try:
                    left = drop.read(self.folder, name, self._settings.smtp.max_message_size)
                    if self._taken.get(name) != left.id:
                        self._take(left)
                        self._taken[name] = left.id
                        taken += 1
                    os.unlink(left.path)
                except (drop.NotTaken, InvalidAddress, HeaderProblem) as error:
                    self._refused.add(name)
                    _log.error("%s", fields(event="drop-refused", file=name, detail=str(error)))
                except OSError as error:
                    trouble = error
                if taken == MOST_AT_ONCE:
                    break
        finally:
            if taken:
                ring(Path(self._settings.run_dir) / "queue.sock")
        if trouble is not None:
            raise trouble
        return taken

    def _take(self, left: drop.Dropped) -> None:
        settings = self._settings
        origin = settings.route.origin or settings.hostname
        path = drop.completed(left.envelope.return_path, origin) if left.envelope.return_path else ""
        recipients = [drop.completed(address, origin) for address in left.envelope.recipients]
        now = time.time()
        header = scan(left.content)
        if (loop := looping(header, settings.smtp.max_hops)) is not None:
            raise drop.NotTaken(f"{os.path.basename(left.path)}: {loop}")
        head = trace.received(
            helo=f"uid-{left.uid}",
            address=trace.LOCAL,
            hostname=settings.hostname,
            protocol="local",
            message_id=left.id,
            recipient=recipients[0] if len(recipients) == 1 else None,
            now=now,
        )
        head += missing_fields(header, message_id=left.id, hostname=settings.hostname, now=left.left_at)
        content = [head, *header.without(b"return-path")]
        size = size_of(content)
        targets = tuple(Target(address) for address in dict.fromkeys(recipients))
        named = [EnvelopeRecipient(address, self._plan(address, path, now)) for address in recipients]
        copies = self._journals.prepare(
            Message(left.id, path, named, _parameters(left.envelope), content, f"uid-{left.uid}", "drop", "", True)
        )
        envelope = QueuedEnvelope(
            left.id,
            path,
            now,
            targets,
            size,
            size + lines_of(content),
            _parameters(left.envelope),
            vouched=True,
            is_ours=True,
            owner=unix_owner(left.uid),
        )
        try:
            self._queue.write(envelope, content)
            if copies is not None:
                copies.commit(named)
            self._queue.commit(left.id)
        except BaseException:
            self._queue.discard(left.id)
            if copies is not None:
                copies.drop()
            raise
        maillog.received(
            id=left.id,
            return_path=path,
            recipients=recipients[:MAX_NAMED],
            size=size,
            client=f"uid-{left.uid}",
            service="drop",
            login="",
            message_id=_field(header, b"message-id"),
            subject=_field(header, b"subject"),
        )
        maillog.queued(id=left.id, targets=len(targets))
        maillog.accepted(
            id=left.id,
            return_path=path,
            size=size,
            recipients=len(recipients),
            client=f"uid-{left.uid}",
            service="drop",
        )

    def _plan(self, address: str, path: str, now: float) -> Plan | None:
        """Who is behind an address, for journals; None where nobody can say. The queue asks for itself."""
        try:
            return self._router.route(address, now, outside=True, sender=path)
        except (Deferred, Refused):
            return None

    async def try_sweep(self) -> None:
        """Trouble with the queue or the disk leaves the mail where it is until the next round."""
        try:
            await asyncio.get_running_loop().run_in_executor(None, self.sweep)
        except (Deferred, OSError) as error:
            _log.warning("%s", fields(event="drop-not-swept", detail=str(error)))
        except Exception:
            maillog.bug(where="drop")

    async def sweep_for_ever(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self.try_sweep()
