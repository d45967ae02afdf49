"""Subscribing and leaving by mail: the address must be proven, by a login or by a token that was sent to it.

Nothing is remembered meanwhile: the token is a keyed hash of the list, the wish, the address and the day, so nobody can
fill a table by asking. What counts is written into the directory by the agent.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

from directory.model import Condition, Deferred, InvalidAddress, MailingList, canonical_address
from gateway.control.client import ControlError, call
from gateway.lists import notices
from gateway.lists.members import known_as, members
from gateway.lists.requests import Request, author_of, is_automatic, is_member_wish, member_wish_token
from gateway.lists.settings import ListSettings
from gateway.mail.header import Header
from gateway.queue.file import QueuedEnvelope
from gateway.service.list_decider import Deciders
from gateway.service.list_facts import HostListFacts
from gateway.service.list_mailer import Content, ListMailer

ASK_AGAIN = 3600.0  # seconds in which one address is not written to about the same wish again
MAX_ASKED = 10_000


class Subscription:
    """One in the runner, called in its loop."""

    def __init__(
        self,
        mailer: ListMailer,
        deciders: Deciders,
        facts: HostListFacts,
        agent: Path,
        settings: ListSettings,
    ) -> None:
        self._mailer, self._deciders, self._facts = mailer, deciders, facts
        self._agent, self._settings = agent, settings
        self._asked: OrderedDict[tuple[str, str, str], float] = OrderedDict()

    async def asked(
        self, mailing_list: MailingList, request: Request, header: Header, envelope: QueuedEnvelope, content: Content
    ) -> bool:
        """Do what was asked. False when a person has to look at the message. Raises Deferred, OSError."""
        if not envelope.return_path or is_automatic(header):
            self._mailer.say("request-of-a-program", mailing_list, id=envelope.id)
            return True  # answered by nobody: two programs would go on for ever
        is_open = mailing_list.subscription.strip().lower() in ("request", "open")
        if request.verb == "help":
            asker = envelope.return_path
            await self._once(
                mailing_list, "help", asker, lambda: self._tell(mailing_list, asker, notices.help_text(mailing_list))
            )
            return True
        author = author_of(header)
        if request.verb in ("copy", "nocopy") and author and self._is_member(mailing_list, author):
            await self._wished(mailing_list, request.verb, author, envelope)
            return True
        if request.verb == "confirm" and author:
            return await self._confirmed(mailing_list, request.token, author)
        if request.verb == "unpark":
            return await self._unpark(mailing_list, request.address, envelope)
        if not is_open or not author:
            return False
        if request.verb in ("subscribe", "unsubscribe"):
            await self._wished(mailing_list, request.verb, author, envelope)
            return True
        return request.verb == "admit" and await self._admit(mailing_list, request, header, envelope, content)

    async def _wished(self, mailing_list: MailingList, verb: str, author: str, envelope: QueuedEnvelope) -> None:
        if envelope.login:  # submission has checked that From is his own
            await self._proven(mailing_list, verb, author)
        else:
            await self._once(mailing_list, verb, author, lambda: self._confirm(mailing_list, verb, author))

    async def leave(self, mailing_list: MailingList, address: str) -> None:
        """Take a member off who has proven that he wants it. Raises Deferred."""
        if self._is_member(mailing_list, address):
            await self._write(mailing_list, "unsubscribe", address)

    async def _once(
        self, mailing_list: MailingList, verb: str, address: str, write: Callable[[], Awaitable[None]]
    ) -> None:
        """`write`, unless the address was written to about the same a moment ago: nobody floods others through a list.

        What could not be written is, when the request is tried again.
        """
        now, key = time.monotonic(), (mailing_list.id, verb, address.lower())
        if now - self._asked.get(key, -ASK_AGAIN) < ASK_AGAIN:
            self._mailer.say("asked-again-too-soon", mailing_list, verb=verb, address=address)
            return
        self._asked.pop(key, None)
        self._asked[key] = now
        if len(self._asked) > MAX_ASKED:
            self._asked.popitem(last=False)
        try:
            await write()
        except BaseException:
            self._asked.pop(key, None)
            raise

    async def _confirm(self, mailing_list: MailingList, verb: str, address: str) -> None:
        number, now, days = self._mailer.new_id(), self._mailer.clock(), self._settings.confirm_days
        token = member_wish_token(self._facts.key, mailing_list.id, verb, address, now)
        message = notices.confirm(
            mailing_list, verb, address, token, message_id=self._mailer.message_id(number), now=now, days=days
        )
        await self._mailer.send(number, (address,), message.as_bytes())
        self._mailer.say("confirmation-asked", mailing_list, verb=verb, address=address)

    async def _confirmed(self, mailing_list: MailingList, token: str, author: str) -> bool:
        for verb in ("subscribe", "unsubscribe", "copy", "nocopy"):
            if self._is_good(mailing_list, token, verb, author):
                await self._proven(mailing_list, verb, author)
                return True
        return False

    def _is_good(self, mailing_list: MailingList, token: str, verb: str, address: str) -> bool:
        now, days = self._mailer.clock(), self._settings.confirm_days
        return is_member_wish(token, self._facts.key, mailing_list.id, verb, address, now, days)

    async def _proven(self, mailing_list: MailingList, verb: str, address: str) -> None:
        """The address is his who asks."""
        if verb in ("copy", "nocopy"):
            await self._want_copies(mailing_list, verb, address)
            return
        if verb == "unsubscribe" or mailing_list.subscription.strip().lower() == "open":
            await self._write(mailing_list, verb, address)
            return
        number, now, days = self._mailer.new_id(), self._mailer.clock(), self._settings.confirm_days
        token = member_wish_token(self._facts.key, mailing_list.id, "admit", address, now)
        message = notices.admit(
            mailing_list, address, token, message_id=self._mailer.message_id(number), now=now, days=days
        )
        await self._mailer.send(number, (self._mailer.owners(mailing_list),), message.as_bytes())
        await self._tell(
            mailing_list, address, "The owners of the list were asked to admit you.\n已通知管理员审核您的订阅申请。\n"
        )

    def _known(self, mailing_list: MailingList, address: str) -> set[str]:
        """The addresses by which the list may know the owner of `address`."""
        return {address, *(known_as(owner) for owner in self._mailer.directory.owners(address))}

    def _is_member(self, mailing_list: MailingList, address: str) -> bool:
        known = self._known(mailing_list, address)
        return any(member in known for member, _ in members(self._mailer.directory, mailing_list))

    async def _want_copies(self, mailing_list: MailingList, verb: str, address: str) -> None:
        for known in self._known(mailing_list, address):
            await asyncio.to_thread(self._facts.state.want_copies, mailing_list.id, known, wanted=verb == "copy")
        self._mailer.say("copies-of-own-posts", mailing_list, address=address, wanted=verb == "copy")
        text = (
            "You get your own posts too.\n您将收到自己发送的邮件。\n"
            if verb == "copy"
            else ("You get no copies of your own posts.\n您将不再收到自己发送的邮件。\n")
        )
        await self._tell(mailing_list, address, text)

    async def _unpark(self, mailing_list: MailingList, member: str, envelope: QueuedEnvelope) -> bool:
        """Let a member have mail again, when an owner or moderator who logged in asks: no token bounds this wish in
        time, and what DKIM has signed can be sent again by anybody."""
        if not self._deciders.is_logged_in(mailing_list, envelope):
            self._mailer.say("decision-not-proven", mailing_list, id=envelope.id)
            return False
        done = await asyncio.to_thread(self._facts.state.unpark, mailing_list.id, known_as(member))
        self._mailer.say("member-unparked", mailing_list, member=member, by=envelope.login, found=done)
        text = (
            f"{member} gets mail of this list again.\n已恢复投递。\n"
            if done
            else f"{member} was not parked.\n该成员未被暂停。\n"
        )
        await self._tell(mailing_list, envelope.return_path, text)
        return True

    async def _admit(
        self, mailing_list: MailingList, request: Request, header: Header, envelope: QueuedEnvelope, content: Content
    ) -> bool:
        try:
            address = str(canonical_address(request.address))
        except InvalidAddress:
            return False
        if not self._is_good(mailing_list, request.token, "admit", address):
            return False
        if not await self._deciders.decider(mailing_list, header, envelope, content):
            self._mailer.say("decision-not-proven", mailing_list, id=envelope.id)
            return False
        await self._write(mailing_list, "subscribe", address)
        return True

    async def _write(self, mailing_list: MailingList, verb: str, address: str) -> None:
        """Have the agent write it. Raises Deferred."""
        try:
            done = await asyncio.to_thread(
                call, self._agent, "list-subscription", list=mailing_list.id, operation=verb, address=address
            )
        except ControlError as error:
            if error.code in (4, 70):
                raise Deferred(Condition.DIRECTORY_UNAVAILABLE, str(error)) from error
            self._mailer.say("subscription-refused", mailing_list, verb=verb, address=address, why=str(error))
            await self._tell(
                mailing_list,
                address,
                "This could not be done; ask the owners of the list.\n操作未成功，请联系管理员。\n",
            )
            return
        self._mailer.say("subscription-changed", mailing_list, verb=verb, address=address, change=done["number"])
        if verb == "subscribe":
            await asyncio.to_thread(self._facts.state.unpark, mailing_list.id, address)
            text = "You are a member of this list now.\n您已订阅此邮件列表。\n\n" + notices.help_text(mailing_list)
        else:
            text = "You are not a member of this list any more.\n您已退订此邮件列表。\n"
        await self._tell(mailing_list, address, text)

    async def _tell(self, mailing_list: MailingList, address: str, text: str) -> None:
        number = self._mailer.new_id()
        message = notices.done(
            mailing_list, address, text, message_id=self._mailer.message_id(number), now=self._mailer.clock()
        )
        await self._mailer.send(number, (address,), message.as_bytes())
