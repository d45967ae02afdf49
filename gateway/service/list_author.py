"""Whether copies for members outside need the list's own From: asked of the DNS when they leave."""

from __future__ import annotations

from typing import Literal

from directory.model import Deferred, MailingList
from gateway.deliver.resolve import Resolve
from gateway.lists import dmarc
from gateway.lists.addresses import list_address
from gateway.lists.copy import Rewriting
from gateway.lists.requests import author_of
from gateway.mail.header import Header


class AuthorPolicy:
    """One in the runner. Answers are kept by the resolver."""

    def __init__(self, resolve: Resolve, mode: Literal["dmarc", "always", "never"]) -> None:
        self._resolve, self._mode = resolve, mode

    async def rewriting(self, header: Header, mailing_list: MailingList) -> Rewriting:
        """What is decided for one message. Never raises: while the DNS cannot be asked the list takes its own From,
        for a copy that bounces at every strict host is worse than one that looks different."""
        if self._mode != "dmarc":
            return Rewriting(own_from=self._mode == "always")
        author = author_of(header).rpartition("@")[2]
        if not author:
            return Rewriting(own_from=True)
        if dmarc.is_aligned(author, (list_address(mailing_list) or "").rpartition("@")[2]):
            return Rewriting()
        try:
            return Rewriting(own_from=await self._demands(author))
        except Deferred:
            return Rewriting(own_from=True)

    async def _demands(self, domain: str) -> bool:
        for number, name in enumerate(dmarc.names(domain)):
            answer = await self._resolve.ask(name, "TXT")
            found = [one for text in answer.values if (one := dmarc.demands(text, is_own=number == 0)) is not None]
            if len(found) == 1:
                return found[0]
            if found:
                return False  # several records are none (RFC 7489 6.6.3)
        return False
