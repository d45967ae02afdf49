"""Who decides about a list by mail: a moderator or owner who logged in, or whose own domain has signed what he wrote.

A signature counts when it is of the author's domain or of one above it, passes, and covers the Subject, in which the
decision stands. A return path proves nothing, nor does SPF, which knows of no author.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from directory.model import Account, Condition, Deferred, MailingList, ServiceAccount
from gateway.deliver.resolve import Resolve
from gateway.filters.dkim import Verified, verify
from gateway.filters.settings import AuthenticationSettings
from gateway.lists.requests import author_of
from gateway.mail.dkim_signature import is_for
from gateway.mail.header import Header, head_and_body
from gateway.policy.restriction import Sender, is_of
from gateway.queue.file import QueuedEnvelope
from gateway.service.list_mailer import Content, ListMailer

WORDS = ("moderators", "owners")


class Deciders:
    """One in the runner; called in its loop. `separators` are those of extensions."""

    def __init__(self, mailer: ListMailer, separators: str, resolve: Resolve, settings: AuthenticationSettings) -> None:
        self._directory, self._clock, self._separators = mailer.directory, mailer.clock, separators
        self._resolve, self._settings = resolve, settings

    def _is_one(self, mailing_list: MailingList, sender: Sender) -> bool:
        return any(is_of(self._directory, mailing_list, sender, word) for word in WORDS)

    def is_logged_in(self, mailing_list: MailingList, envelope: QueuedEnvelope) -> bool:
        """True when a moderator or an owner who logged in has sent it. Raises Deferred."""
        if not envelope.login:
            return False
        entry = self._directory.by_id(envelope.login)
        if isinstance(entry, Account | ServiceAccount):
            return self._is_one(mailing_list, Sender("", entry, self._separators))
        if entry is None and not self._directory.freshness().absence_is_final(self._clock()):
            raise Deferred(Condition.DIRECTORY_STALE, f"who is {envelope.login}?")
        return False

    async def decider(
        self, mailing_list: MailingList, header: Header, envelope: QueuedEnvelope, content: Content
    ) -> str:
        """The moderator or owner whose message it is: the entry id of who logged in, else the address of who has signed
        it; "" = nobody's. Raises Deferred while the directory or the DNS does not say, OSError."""
        if self.is_logged_in(mailing_list, envelope):
            return envelope.login
        return await self._signer(mailing_list, header, content)

    async def _signer(self, mailing_list: MailingList, header: Header, content: Content) -> str:
        """The address of the moderator or owner who wrote the message as DKIM proves, "" = nobody has."""
        author = author_of(header)
        if not author or len(header.all(b"subject")) != 1:  # another one could be put above the one that is signed
            return ""
        if not self._is_one(mailing_list, Sender(author, None, self._separators)):
            return ""
        found = await self._verified(header, content)
        domain = author.rpartition("@")[2]
        if any(_proves(one, domain) for one in found):
            return author
        if any(one.outcome == "temperror" for one in found):
            raise Deferred(Condition.DNS_UNAVAILABLE, f"DKIM keys for mail of {author}")
        return ""

    async def _verified(self, header: Header, content: Content) -> Sequence[Verified]:
        def body() -> Iterator[bytes]:
            return head_and_body(content())[1]

        return await verify(
            header,
            body,
            self._resolve,
            most=self._settings.signatures,
            now=self._clock(),
            seconds=self._settings.timeout,
            away=asyncio.to_thread,
        )


def _proves(one: Verified, domain: str) -> bool:
    return (
        bool(one.signer)
        and is_for(domain, one.signer)
        and one.signature is not None
        and b"subject" in one.signature.names
    )
