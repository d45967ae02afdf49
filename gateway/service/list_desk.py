"""The desk of the lists: does what is asked under `<list>-bounces`, in the process that runs the queue.

Whatever comes here was accepted and stands in the queue, so trouble means "later", and what is asked is done once or,
after a crash, once more with the same result.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

from directory.model import MailingList
from directory.port import Directory
from gateway.files.names import unique_name
from gateway.lists import bounce, notices
from gateway.lists.addresses import OWNER, member_token, service_address
from gateway.lists.members import members
from gateway.lists.settings import ListSettings
from gateway.observe.log import fields
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.wake import ring
from gateway.route.plan import ListMail
from gateway.service.list_facts import HostListFacts

REBUILD_SECONDS = 5.0  # tokens that nobody has cost a look at all members, not more often than this
MAX_LISTS = 1000  # whose tokens are kept in memory
_log = logging.getLogger("gatepost.lists")


class ListDesk:
    """One in the runner; called in its loop, for the directory's view serves one thread."""

    def __init__(
        self,
        directory: Directory,
        facts: HostListFacts,
        queue: QueueFolder,
        bell: Path,
        settings: ListSettings,
        hostname: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory, self._facts, self._queue, self._bell = directory, facts, queue, bell
        self._settings, self._hostname, self._clock = settings, hostname, clock
        self._tokens: dict[str, tuple[float, dict[str, str]]] = {}

    async def handle(self, step: ListMail, envelope: QueuedEnvelope, content: Callable[[], Iterator[bytes]]) -> None:
        """Do what a message to a service address asks. Raises Deferred, OSError."""
        await self._bounce(step, envelope, content)

    # -- bounces --

    async def _bounce(self, step: ListMail, envelope: QueuedEnvelope, content: Callable[[], Iterator[bytes]]) -> None:
        mailing_list = step.service_of
        if envelope.return_path:  # a person wrote there
            await self._to_owners(mailing_list, envelope, content)
            return
        start = _beginning(content(), bounce.MAX_READ)
        found = bounce.failures(start)
        member = self._member(mailing_list, step.token) if step.token else ""
        if step.token and not member:
            self._say("bounce-of-nobody", mailing_list, id=envelope.id)
            return
        if found is None and (not member or bounce.is_automatic(start)):
            if not member:
                await self._to_owners(mailing_list, envelope, content)
            return
        if found is None:  # no report that a program can read, but sent to this member's own return path
            found = (bounce.Failure((), bounce.HARD, "no delivery report"),)
        known = {address for address, _ in members(self._directory, mailing_list)} if not member else set()
        named = [
            (one, address) for one in found if (address := member or next((a for a in one.addresses if a in known), ""))
        ]
        if found and not named:
            await self._to_owners(mailing_list, envelope, content)
        for failure, address in named[:1] if member else named:
            await self._count(mailing_list, address, failure, envelope.id)

    def _member(self, mailing_list: MailingList, token: str) -> str:
        """The member with that token, "" for none."""
        at, known = self._tokens.get(mailing_list.id, (-REBUILD_SECONDS, {}))
        if token not in known and time.monotonic() - at >= REBUILD_SECONDS:
            key = self._facts.key
            known = {
                member_token(key, mailing_list.id, address): address
                for address, _ in members(self._directory, mailing_list)
            }
            if len(self._tokens) >= MAX_LISTS:
                self._tokens.clear()
            self._tokens[mailing_list.id] = time.monotonic(), known
        return known.get(token, "")

    async def _count(self, mailing_list: MailingList, member: str, failure: bounce.Failure, message: str) -> None:
        settings = self._settings
        is_parked = await asyncio.to_thread(
            self._facts.state.bounced, mailing_list.id, member, failure.weight, failure.why, message, self._clock(),
            limit=settings.bounce_limit, forget=settings.bounce_forget,
        )  # fmt: skip
        self._say("member-bounced", mailing_list, id=message, member=member, weight=failure.weight, why=failure.why)
        if is_parked:
            self._say("member-parked", mailing_list, member=member)
            number = unique_name("l")[:-2]
            text = notices.parked(
                mailing_list, member, failure.why, message_id=f"<{number}@{self._hostname}>", now=self._clock()
            )
            await asyncio.to_thread(self._send, number, self._owners(mailing_list), text)

    # -- sending --

    def _owners(self, mailing_list: MailingList) -> str:
        """Where whoever answers for the list is reached."""
        address = service_address(mailing_list, OWNER) or ""
        has_owner = mailing_list.owners or mailing_list.owner_addresses
        return address if has_owner else f"postmaster@{address.rpartition('@')[2]}"

    async def _to_owners(
        self, mailing_list: MailingList, envelope: QueuedEnvelope, content: Callable[[], Iterator[bytes]]
    ) -> None:
        """Pass a message on as it is."""
        self._say("to-the-owners", mailing_list, id=envelope.id)
        own = QueuedEnvelope(
            unique_name("l")[:-2],
            envelope.return_path,
            self._clock(),
            (Target(self._owners(mailing_list)),),
            envelope.size,
            envelope.crlf,
            dict(envelope.parameters),
        )
        await asyncio.to_thread(lambda: self._queue.inject(own, list(content())))
        ring(self._bell)

    def _send(self, number: str, recipient: str, message: EmailMessage) -> None:
        octets = message.as_bytes()
        envelope = QueuedEnvelope(
            number, "", self._clock(), (Target(recipient),), len(octets), len(octets) + octets.count(b"\n"), {}
        )
        self._queue.inject(envelope, (octets,))
        ring(self._bell)

    @staticmethod
    def _say(event: str, mailing_list: MailingList, **facts: object) -> None:
        _log.info("%s", fields(event=event, list=mailing_list.primary or mailing_list.dn, **facts))


def _beginning(pieces: Iterator[bytes], size: int) -> bytes:
    found = b""
    for piece in pieces:
        found += piece
        if len(found) >= size:
            break
    return found[:size]
