"""The control verbs by which people get into a list and out of it: themselves, or the mail processes of this host after
the address was proven.

Neither has a right of his own: only lists whose entry says so (`gatepostSubscription`) are touched, and only one member.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from directory.model import Account, Alias, InvalidAddress, MailboxHolder, MailingList, canonical_address
from directory.rights import READS_ONLY, Actor
from directory.settings import DirectorySettings
from directory.write import Wish, WritePort, Written
from directory.write_problem import Invalid, NotAllowed, NotThere
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.lists.addresses import list_address
from gateway.lists.members import known_as, members
from gateway.service.agent_accounts import Accounts

MAX_LISTS = 200  # in one answer


class Subscription(msgspec.Struct, forbid_unknown_fields=True):
    """Let `address` into the list with that entry id, or out of it."""

    list: str
    operation: Literal["subscribe", "unsubscribe"]
    address: str


class OwnSubscription(msgspec.Struct, forbid_unknown_fields=True):
    """The person who asks joins the list with that address, or leaves it."""

    list: str
    operation: Literal["subscribe", "unsubscribe"]


class NoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of verbs that need none."""


class Subscriptions:
    """The verbs' functions."""

    def __init__(self, accounts: Accounts, settings: DirectorySettings) -> None:
        self._accounts, self._settings = accounts, settings

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "list-subscription": Verb(Right.SERVE, self._change, Subscription),
            "own-lists": Verb(Right.ACT, self._own, NoArguments),
            "own-subscription": Verb(Right.ACT, self._change_own, OwnSubscription),
        }

    def _person(self, caller: Caller, *, to_change: bool = False) -> Account:
        actor = self._accounts.actor(caller)
        account = actor.account
        if to_change and actor.reads_only:
            raise VerbError(READS_ONLY, 5)
        if not isinstance(account, Account) or not account.primary:
            raise VerbError("that is for people with an address", 2)
        return account

    def _own(self, caller: Caller, _: NoArguments) -> list[dict[str, Any]]:
        """The lists that he is a member of, or may look for: not those that are hidden."""
        account = self._person(caller)
        found: list[dict[str, Any]] = []
        with self._accounts.looking() as port:
            for entry in port.directory.search(self._settings.base, "sub", "(objectClass=*)"):
                address = list_address(entry) if isinstance(entry, MailingList) else None
                if not isinstance(entry, MailingList) or address is None or len(found) >= MAX_LISTS:
                    continue
                is_member = any(
                    each is not None and each.id == account.id for _, each in members(port.directory, entry)
                )
                how = entry.subscription.strip().lower()
                if is_member or (how in ("request", "open") and not entry.hidden):
                    found.append({
                        "address": address,
                        "title": entry.display_name or address,
                        "is_member": is_member,
                        "may_change": how == "open" or (is_member and how == "request"),
                    })  # fmt: skip
        return sorted(found, key=lambda each: (not each["is_member"], str(each["title"]).casefold()))

    def _change_own(self, caller: Caller, wanted: OwnSubscription) -> dict[str, Any]:
        account = self._person(caller, to_change=True)

        def write(port: WritePort) -> Written:
            entry = port.owner(wanted.list, MailingList)
            assert isinstance(entry, MailingList)
            if wanted.operation == "subscribe" and entry.subscription.strip().lower() != "open":
                raise NotAllowed("the owners of this list admit its members: write to its request address")
            return _written(port, Subscription(entry.id, wanted.operation, known_as(account)))

        return self._accounts.write(f"list {wanted.operation}", write)

    def _change(self, caller: Caller, wanted: Subscription) -> dict[str, Any]:
        return self._accounts.write(f"list {wanted.operation}", lambda port: _written(port, wanted))


def _written(port: WritePort, wanted: Subscription) -> Written:
    entry = port.directory.by_id(wanted.list)
    if not isinstance(entry, MailingList):
        raise NotThere("this list is gone")
    if entry.subscription.strip().lower() not in ("request", "open"):
        raise NotAllowed(f"{entry.dn} is closed")
    try:
        address = str(canonical_address(wanted.address))
    except InvalidAddress as error:
        raise Invalid(str(error)) from None
    wishes = _coming(port, entry, address) if wanted.operation == "subscribe" else _leaving(port, entry, address)
    if not wishes:
        return Written(entry.id, entry.dn, port.directory.change_mark(entry.id), 0)
    return port.change(Actor(f"mail of {address}"), entry, wishes, verb=f"list {wanted.operation}")


def _coming(port: WritePort, entry: MailingList, address: str) -> list[Wish]:
    excluded = [text for text in entry.exclude_addresses if known_as(text) == address]
    wishes = [Wish("exclude_addresses", "remove", tuple(excluded))] if excluded else []
    owners = port.directory.owners(address)
    known = {known_as(owner) for owner in owners} | {address}
    if any(member in known for member, _ in members(port.directory, entry)):
        return wishes
    if len(owners) == 1 and isinstance(owners[0], MailboxHolder | Alias | MailingList):
        field = "unique_members" if entry.unique_members and not entry.members else "members"
        return [*wishes, Wish(field, "add", (owners[0].dn,))]
    return [*wishes, Wish("member_addresses", "add", (address,))]


def _leaving(port: WritePort, entry: MailingList, address: str) -> list[Wish]:
    """Out of every attribute that names him; whom a group or a search brings in is excluded."""
    owners = port.directory.owners(address)
    own = {address, *(known_as(owner) for owner in owners)}
    own.update(text for owner in owners for text in owner.addresses)
    ids = {owner.id for owner in owners}
    wishes = []
    for field, names in (("members", entry.members), ("unique_members", entry.unique_members)):
        gone = [dn for dn in names if (found := port.directory.by_dn(dn)) is not None and found.id in ids]
        if gone:
            wishes.append(Wish(field, "remove", tuple(gone)))
    listed = [text for text in entry.member_addresses if known_as(text) in own]
    if listed:
        wishes.append(Wish("member_addresses", "remove", tuple(listed)))
    direct = {dn for wish in wishes for dn in wish.values}
    by_another_way = any(
        member in own and found is not None and found.dn not in direct
        for member, found in members(port.directory, entry)
    )
    if by_another_way and not any(known_as(text) == address for text in entry.exclude_addresses):
        wishes.append(Wish("exclude_addresses", "add", (address,)))
    return wishes
