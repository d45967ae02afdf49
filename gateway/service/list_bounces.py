"""Bounces of what lists sent: whose they are, how much they count, and what follows."""

from __future__ import annotations

import asyncio
import time

from directory.model import MailingList
from gateway.lists import bounce, notices
from gateway.lists.addresses import member_token
from gateway.lists.members import members
from gateway.lists.settings import ListSettings
from gateway.queue.file import QueuedEnvelope
from gateway.route.plan import ListMail
from gateway.service.list_facts import HostListFacts
from gateway.service.list_mailer import Content, ListMailer, beginning

REBUILD_SECONDS = 5.0  # tokens that nobody has cost a look at all members, not more often than this
MAX_LISTS = 1000  # whose tokens are kept in memory


class Bounces:
    """One in the runner, called in its loop."""

    def __init__(self, mailer: ListMailer, facts: HostListFacts, settings: ListSettings) -> None:
        self._mailer, self._facts, self._settings = mailer, facts, settings
        self._tokens: dict[str, tuple[float, dict[str, str]]] = {}

    async def take(self, step: ListMail, envelope: QueuedEnvelope, content: Content) -> None:
        mailing_list = step.service_of
        if envelope.return_path:  # a person wrote there
            await self._mailer.to_owners(mailing_list, envelope, content)
            return
        start = beginning(content(), bounce.MAX_READ)
        found = bounce.failures(start)
        member = self._member(mailing_list, step.token) if step.token else ""
        if step.token and not member:
            self._mailer.say("bounce-of-nobody", mailing_list, id=envelope.id)
            return
        if found is None and (not member or bounce.is_automatic(start)):
            if not member:
                await self._mailer.to_owners(mailing_list, envelope, content)
            return
        if found is None:  # no report that a program can read, but sent to this member's own return path
            found = (bounce.Failure((), bounce.HARD, "no delivery report"),)
        known = {address for address, _ in members(self._mailer.directory, mailing_list)} if not member else set()
        named = [
            (one, address) for one in found if (address := member or next((a for a in one.addresses if a in known), ""))
        ]
        if found and not named:
            await self._mailer.to_owners(mailing_list, envelope, content)
        for failure, address in named[:1] if member else named:
            await self._count(mailing_list, address, failure, envelope.id)

    def _member(self, mailing_list: MailingList, token: str) -> str:
        """The member with that token, "" for none."""
        at, known = self._tokens.get(mailing_list.id, (-REBUILD_SECONDS, {}))
        if token not in known and time.monotonic() - at >= REBUILD_SECONDS:
            key = self._facts.key
            known = {
                member_token(key, mailing_list.id, address): address
                for address, _ in members(self._mailer.directory, mailing_list)
            }
            if len(self._tokens) >= MAX_LISTS:
                self._tokens.clear()
            self._tokens[mailing_list.id] = time.monotonic(), known
        return known.get(token, "")

    async def _count(self, mailing_list: MailingList, member: str, failure: bounce.Failure, message: str) -> None:
        settings = self._settings
        is_parked = await asyncio.to_thread(
            self._facts.state.bounced, mailing_list.id, member, failure.weight, failure.why, message, self._mailer.clock(),
            limit=settings.bounce_limit, forget=settings.bounce_forget,
        )  # fmt: skip
        self._mailer.say(
            "member-bounced", mailing_list, id=message, member=member, weight=failure.weight, why=failure.why
        )
        if is_parked:
            self._mailer.say("member-parked", mailing_list, member=member)
            number = self._mailer.new_id()
            told = notices.parked(
                mailing_list, member, failure.why, message_id=self._mailer.message_id(number), now=self._mailer.clock()
            )
            await self._mailer.send(number, (self._mailer.owners(mailing_list),), told.as_bytes())
