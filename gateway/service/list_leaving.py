"""Leaving a list by one click (RFC 8058): the address that a member's own copy has for it, and what it does.

A copy has one only where the signature of the list's domain covers it, the list may be left by its members, and the
copy is one member's: its return path tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest
from typing import Any

import msgspec

from directory.model import MailingList
from directory.port import Directory
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.lists.addresses import list_address, member_path
from gateway.lists.requests import leave_token, leave_url
from gateway.service.list_facts import HostListFacts
from gateway.service.list_subscription import Subscription
from gateway.service.runner_actors import Actors
from gateway.service.signing import Signing


class WaysOut:
    """One in the runner; called in its loop. `web` is the address of the web front end, "" = there is none."""

    def __init__(self, web: str, facts: HostListFacts, signing: Signing) -> None:
        self.web = web
        self._facts, self._signing = facts, signing

    def of(self, mailing_list: MailingList, member: str, path: str) -> str:
        """Where `member` leaves the list; "" where a copy with this return path must not say so."""
        address = list_address(mailing_list)
        if not self.web or address is None or not may_be_left(mailing_list):
            return ""
        try:
            key = self._facts.key
        except (OSError, ValueError):
            return ""  # said where it is first needed
        if path != member_path(mailing_list, key, member) or not self._signing.signs(address.rpartition("@")[2]):
            return ""
        return leave_url(self.web, key, mailing_list.id, member)


def may_be_left(mailing_list: MailingList) -> bool:
    """True for a list whose members come and go as they like."""
    return mailing_list.subscription.strip().lower() in ("request", "open")


class Leave(msgspec.Struct, forbid_unknown_fields=True):
    """`member` leaves the list with that entry id, as `token` allows; `look`: only say which list it is."""

    list: str
    member: str
    token: str
    look: bool = False


class LeavingVerbs:
    """The verb's function; it runs in a thread."""

    def __init__(self, directory: Directory, facts: HostListFacts, subscription: Subscription, actors: Actors) -> None:
        self._directory, self._facts, self._subscription, self._actors = directory, facts, subscription, actors

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table: for the web front end, which cannot make a token."""
        return {"list-leave": Verb(Right.FRONT, self._leave, Leave)}

    def _leave(self, caller: Caller, wanted: Leave) -> dict[str, Any]:
        async def leave() -> str:
            good = leave_token(self._facts.key, wanted.list, wanted.member)
            entry = self._directory.by_id(wanted.list)
            if not compare_digest(good.encode(), wanted.token.encode()) or not isinstance(entry, MailingList):
                raise VerbError("this address leads to no list", 1)
            if not may_be_left(entry):
                raise VerbError("members of this list cannot leave by themselves; ask its owners", 1)
            if not wanted.look:
                await self._subscription.leave(entry, wanted.member)
            return list_address(entry) or entry.dn

        return {"list": self._actors.in_loop(leave)}
