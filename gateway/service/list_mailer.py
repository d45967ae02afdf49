"""How a list writes and passes on mail itself: through the queue, reports to nobody."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from msgspec.structs import replace

from directory.model import MailingList
from directory.port import Directory
from gateway.files.names import unique_name
from gateway.lists.addresses import OWNER, service_address
from gateway.lists.members import people
from gateway.observe.log import fields
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.wake import ring

#: gives the octets of a message from the beginning
Content: TypeAlias = Callable[[], Iterator[bytes]]
_log = logging.getLogger("gatepost.lists")


class ListMailer:
    """One in the runner."""

    def __init__(
        self,
        directory: Directory,
        queue: QueueFolder,
        bell: Path,
        hostname: str,
        clock: Callable[[], float] = time.time,
        web: str = "",
    ) -> None:
        #: where the web front end is, "" = nowhere
        self.web = web
        self.directory, self.queue, self.clock = directory, queue, clock
        self._bell, self._hostname = bell, hostname

    def new_id(self) -> str:
        return unique_name("l")[:-2]

    def message_id(self, number: str) -> str:
        return f"<{number}@{self._hostname}>"

    def owners(self, mailing_list: MailingList) -> str:
        """Where whoever answers for the list is reached."""
        address = service_address(mailing_list, OWNER) or ""
        has_owner = mailing_list.owners or mailing_list.owner_addresses
        return address if has_owner else f"postmaster@{address.rpartition('@')[2]}"

    def moderators(self, mailing_list: MailingList) -> tuple[str, ...]:
        """Addresses of those who decide on posts: the moderators, else the owners."""
        found = people(self.directory, mailing_list.moderators, mailing_list.moderator_addresses)
        return found or (self.owners(mailing_list),)

    async def inject(self, envelope: QueuedEnvelope, pieces: Callable[[], Sequence[bytes]]) -> None:
        """On disk when it returns. Raises Deferred, OSError."""
        await asyncio.to_thread(lambda: self.queue.inject(envelope, pieces()))
        ring(self._bell)

    async def send(self, number: str, recipients: Sequence[str], octets: bytes) -> None:
        """A message of the list's own, from `<>`."""
        targets = tuple(Target(recipient) for recipient in recipients)
        size = len(octets)
        envelope = QueuedEnvelope(number, "", self.clock(), targets, size, size + octets.count(b"\n"), is_ours=True)
        await self.inject(envelope, lambda: (octets,))

    async def to_owners(self, mailing_list: MailingList, envelope: QueuedEnvelope, content: Content) -> None:
        """Pass a message on as it is."""
        self.say("to-the-owners", mailing_list, id=envelope.id)
        own = replace(
            envelope,
            id=self.new_id(),
            arrival=self.clock(),
            targets=(Target(self.owners(mailing_list)),),
            not_before=0.0,
            owner="",
        )
        await self.inject(own, lambda: list(content()))

    @staticmethod
    def say(event: str, mailing_list: MailingList, **facts: object) -> None:
        """A line of the log."""
        _log.info("%s", fields(event=event, list=mailing_list.primary or mailing_list.dn, **facts))


def beginning(pieces: Iterator[bytes], size: int) -> bytes:
    """The first `size` octets."""
    found = b""
    for piece in pieces:
        found += piece
        if len(found) >= size:
            break
    return found[:size]
