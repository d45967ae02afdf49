"""The desk of the lists: does what is asked under their service addresses, in the process that runs the queue.

Whatever comes here was accepted and stands in the queue, so trouble means "later", and what is asked is done once or,
after a crash, once more with the same result.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from directory.model import Deferred, MailingList
from gateway.deliver.resolve import Resolve
from gateway.lists.copy import Rewriting
from gateway.lists.requests import request_of
from gateway.mail.header import Header, HeaderProblem, scan, scan_pieces
from gateway.observe import maillog
from gateway.queue.file import QueuedEnvelope, QueueFolder
from gateway.route.plan import ListMail
from gateway.service.host import Host
from gateway.service.list_author import AuthorPolicy
from gateway.service.list_bounces import Bounces
from gateway.service.list_decider import Deciders
from gateway.service.list_leaving import WaysOut
from gateway.service.list_mailer import Content, ListMailer
from gateway.service.list_moderation import Moderation
from gateway.service.list_subscription import Subscription
from gateway.service.signing import Signing

EXPIRE_SECONDS = 600.0


class ListDesk:
    """One in the runner; called in its loop, for the directory's view serves one thread."""

    def __init__(
        self,
        mailer: ListMailer,
        bounces: Bounces,
        moderation: Moderation,
        subscription: Subscription,
        authors: AuthorPolicy,
        ways_out: WaysOut,
    ) -> None:
        self.subscription, self.ways_out = subscription, ways_out
        self._mailer, self._bounces, self.moderation, self._subscription = mailer, bounces, moderation, subscription
        self._authors = authors

    async def rewriting(self, mailing_list: MailingList, content: Iterator[bytes]) -> Rewriting:
        """What is decided for copies that leave. Raises OSError."""
        how = await self._authors.rewriting(_header(content), mailing_list)
        return dataclasses.replace(how, web=self.ways_out.web)

    def leave(self, mailing_list: MailingList, member: str, path: str) -> str:
        """Where `member`, whose own copy leaves with the return path `path`, leaves the list by one click; "" = nowhere."""
        return self.ways_out.of(mailing_list, member, path)

    async def handle(self, step: ListMail, envelope: QueuedEnvelope, content: Content) -> None:
        """Do what a message to a service address asks. Raises Deferred, Refused, OSError."""
        if step.kind == "bounce":
            await self._bounces.take(step, envelope, content)
        elif step.kind == "post":
            await self.moderation.hold(step, envelope, content)
        else:
            await self._request(step, envelope, content)

    async def _request(self, step: ListMail, envelope: QueuedEnvelope, content: Content) -> None:
        header = _header(content())
        request = request_of(header)
        mailing_list = step.service_of
        if request is None or (
            not await self.moderation.asked(mailing_list, request, header, envelope, content)
            and not await self._subscription.asked(mailing_list, request, header, envelope, content)
        ):
            await self._mailer.to_owners(step.service_of, envelope, content)

    async def tend_for_ever(self) -> None:
        """Let what waited too long expire, now and then."""
        while True:
            try:
                await self.moderation.expire()
            except (Deferred, OSError):
                pass  # the next round finds it
            except Exception:
                maillog.bug(where="expiry of held posts")
            await asyncio.sleep(EXPIRE_SECONDS)


def _header(content: Iterator[bytes]) -> Header:
    """The fields of a message, none where they are over a limit."""
    try:
        return scan_pieces(content)
    except HeaderProblem:
        return scan(b"")


def make_desk(host: Host, resolve: Resolve, signing: Signing) -> ListDesk:
    """The desk of this host."""
    settings = host.settings
    mailer = ListMailer(
        host.directory, host.queue, Path(settings.run_dir) / "queue.sock", settings.hostname, web=settings.web.url
    )
    room = replace(settings.queue, max_messages=settings.lists.max_held)
    held = QueueFolder(Path(settings.state_dir) / "held", room)
    deciders = Deciders(mailer, settings.route.extension_separator, resolve, settings.filters.authentication)
    moderation = Moderation(mailer, host.router, host.lists, held, settings.lists, deciders)
    agent = Path(settings.run_dir) / "control.sock"
    return ListDesk(
        mailer,
        Bounces(mailer, host.lists, settings.lists),
        moderation,
        Subscription(mailer, deciders, host.lists, agent, settings.lists),
        AuthorPolicy(resolve, settings.lists.own_from),
        WaysOut(settings.web.url, host.lists, signing),
    )
