"""What the walk needs to know of lists beside the directory; given at start."""

from __future__ import annotations

from typing import Protocol

from directory.model import MailingList
from gateway.lists.addresses import bounce_address


class ListFacts(Protocol):
    """Answered from memory, never raises."""

    def parked(self, list_id: str) -> frozenset[str]:
        """Members of the list, by the addresses it knows them by, who get nothing at the moment."""
        ...

    def no_copy(self, list_id: str) -> frozenset[str]:
        """Members who do not want their own posts back."""
        ...

    def path(self, mailing_list: MailingList, member: str) -> str | None:
        """The return path of the copy for a member outside."""
        ...


class NothingKnown:
    """Where nobody remembers anything: nobody is parked, bounces have no name."""

    def parked(self, list_id: str) -> frozenset[str]:
        return frozenset()

    def no_copy(self, list_id: str) -> frozenset[str]:
        return frozenset()

    def path(self, mailing_list: MailingList, member: str) -> str | None:
        return bounce_address(mailing_list)
