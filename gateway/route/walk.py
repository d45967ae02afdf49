"""One walk through the directory, from an address to its targets.

`steps` are keyed by target, so that nobody gets a message twice; `deferred` and `lost` are the targets
that cannot take mail now or ever. `astray` is a reference that leads nowhere: the entry may have moved a
moment ago, so it is passed over where others get the message and is never the reason for a final answer.
What a walk visits is bounded in number and depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from directory.model import (
    Alias,
    Condition,
    Deferred,
    Entry,
    Group,
    InvalidAddress,
    MailboxHolder,
    MailingList,
    Recipient,
    Refused,
    canonical_address,
)
from gateway.lists.addresses import BOUNCES, REQUEST, bounce_address
from gateway.lists.members import known_as
from gateway.route.extension import follow
from gateway.route.member_url import parse
from gateway.route.plan import Discard, Instructions, Later, ListMail, Local, Remote, RemoteLmtp

if TYPE_CHECKING:
    from gateway.route.router import Router

#: True where a moderator has to see the message first; raises Refused or Deferred where the sender may not write
Gate: TypeAlias = Callable[[Recipient], bool]


class Walk:
    """The state of one walk."""

    def __init__(
        self,
        router: Router,
        now: float,
        is_final: bool,
        why_not_final: str,
        trace: list[str] | None,
        gate: Gate | None = None,
        sender: str | None = None,
    ) -> None:
        self._router = router
        self._directory = router.directory
        self._limits = router.settings
        self.now = now
        self._trace = trace
        self._gate = gate
        #: the list that was written to, while its members are walked
        self._list_of_copy: MailingList | None = None
        #: the list whose members are walked, the member of it (None = not known yet), who is parked there
        self._inner: MailingList | None = None
        self._member: str | None = None
        self._parked: frozenset[str] = frozenset()
        self._no_copy: frozenset[str] = frozenset()
        self.separators = router.settings.extension_separator
        #: return path of the message, None = not known
        self.sender = sender
        self._visited: set[str] = set()
        self._open: set[str] = set()
        self._excluded: set[str] = set()
        self.is_final = is_final
        self.why_not_final = why_not_final
        self.steps: dict[str, Local | Remote | RemoteLmtp | Discard | Instructions | ListMail] = {}
        self.deferred: list[Later] = []
        self.lost: list[tuple[str, Refused]] = []
        #: what the address belongs to, and the extension that it was written with
        self.first: Recipient | None = None
        self.extension = ""
        #: the first reference that led nowhere, for the operator; "" = none did
        self.astray = ""
        self.depth = 0
        self.return_path: str | None = None

    def say(self, line: str) -> None:
        """A line for the operator who asked for the trace."""
        if self._trace is not None:
            self._trace.append("  " * self.depth + line)

    def later(self, recipient: str, account: str, reason: Deferred, return_path: str | None) -> None:
        """A target that cannot take mail now."""
        self._count()
        if self._trace is not None:
            self.say(f"{recipient}: not now: {reason}")
        self.deferred.append(Later(recipient, account, reason, return_path, mailing_list=self._list_of_copy))

    def lose(self, recipient: str, reason: Refused) -> None:
        """A target that will never take this mail."""
        self._count()
        if self._trace is not None:
            self.say(f"{recipient}: never: {reason}")
        self.lost.append((recipient, reason))

    def _stray(self, line: str) -> None:
        self.say(line)
        self.astray = self.astray or line

    def _count(self) -> None:
        if len(self.steps) + len(self.deferred) + len(self.lost) >= self._limits.max_members:
            raise Deferred(Condition.LIST_TOO_LARGE, f"more than {self._limits.max_members} targets")

    def _too_deep(self, depth: int, recipient: str) -> bool:
        if depth <= self._limits.max_depth:
            return False
        self.lose(recipient, Refused(Condition.LIST_LOOP, f"nested deeper than {self._limits.max_depth}"))
        return True

    # addresses

    def address(self, text: str, depth: int, return_path: str | None, *, outside: bool) -> None:
        """Walk an address as it was given or stands in an entry."""
        if self._too_deep(depth, text):
            return
        try:
            address = canonical_address(text)
        except InvalidAddress as error:
            self.lose(text, Refused(Condition.NO_SUCH_RECIPIENT, str(error)))
            return
        saved = self.depth, self.return_path
        self.depth, self.return_path = depth, return_path
        try:
            self._in_domain(text, address.local, address.domain, outside)
        except Deferred as error:
            if error.condition is Condition.LIST_TOO_LARGE:
                raise
            self.later(text, "", error, return_path)
        except Refused as error:
            self.lose(text, error)
        finally:
            self.depth, self.return_path = saved

    def _in_domain(self, text: str, local: str, given: str, outside: bool) -> None:
        domain = self._directory.domain(given)
        if domain is None:
            if not outside and not self.is_final:
                raise Deferred(Condition.DIRECTORY_STALE, self.why_not_final)
            if not outside:
                raise Refused(Condition.NO_SUCH_DOMAIN, f"{given} is not ours")
            self.say(f"{given} is outside")
            self.relay(text, self.return_path)
            return
        if domain.status == "closed":
            raise Refused(Condition.ACCOUNT_CLOSED, f"domain {domain.name} is closed")
        if domain.status == "suspended":
            raise Deferred(Condition.ACCOUNT_SUSPENDED, f"domain {domain.name} is suspended")
        if self._router.find(self, text, local, given, domain):
            return
        if not self.is_final:
            raise Deferred(Condition.DIRECTORY_STALE, self.why_not_final)
        raise Refused(Condition.NO_SUCH_RECIPIENT)

    def relay(self, recipient: str, return_path: str | None) -> None:
        """An address outside."""
        if return_path is not None and self._inner is not None:
            return_path = self._router.lists.path(self._inner, self._member or "")
        step = Remote(recipient, return_path, mailing_list=self._list_of_copy)
        if step.recipient.lower() in self._excluded:
            self.say(f"{recipient} is excluded")
        elif step.target not in self.steps:
            self._count()
            self.say(f"{recipient}: sent on")
            self.steps[step.target] = step

    # entries

    def named(self, dn: str, recipient: str, depth: int, return_path: str | None) -> None:
        """Walk the entry under a distinguished name; a name that leads nowhere is passed over."""
        entry = self._directory.by_dn(dn)
        if entry is None:
            self._stray(f"{dn}: no such entry, passed over")
            return
        address = entry.primary if isinstance(entry, Recipient) else None
        self.entry(entry, address or recipient, depth, return_path)

    def entry(self, entry: Entry, recipient: str, depth: int, return_path: str | None, extension: str = "") -> None:
        """Walk one entry, addressed with `extension`; as a member of the list that is walked, unless it is parked."""
        if self._inner is None or self._member is not None or not isinstance(entry, Recipient):
            self._entry(entry, recipient, depth, return_path, extension)
            return
        member = known_as(entry)
        if self._gets_none(member, entry.dn, entry):
            return
        self._member = member
        try:
            self._entry(entry, recipient, depth, return_path, extension)
        finally:
            self._member = None

    def _entry(self, entry: Entry, recipient: str, depth: int, return_path: str | None, extension: str) -> None:
        if self.first is None and isinstance(entry, Recipient):
            self.first, self.extension = entry, extension
        if entry.id in self._excluded:
            self.say(f"{entry.dn} is excluded")
            return
        key = entry.id
        if isinstance(entry, MailboxHolder) and entry.extensions:
            key = f"{entry.id} {extension}"  # each extension leads elsewhere
        if key in self._visited:
            if key in self._open and isinstance(entry, MailboxHolder):
                # a forward that comes back: the mailbox it comes back to keeps the message
                self.keep(entry, recipient, return_path)
            else:
                self.say(f"{entry.dn}: already seen")
            return
        if self._too_deep(depth, recipient):
            return
        self._visited.add(key)
        self._open.add(key)
        saved = self.depth
        self.depth = depth
        try:
            self._expand(entry, recipient, depth, return_path, extension)
        except Deferred as error:
            if error.condition is Condition.LIST_TOO_LARGE:
                raise
            # where rules decide they are asked again, else the store is all that is left to be asked for
            is_store = isinstance(entry, MailboxHolder) and not (entry.extensions or entry.delivery)
            self.later(recipient, entry.id if is_store else "", error, return_path)
        except Refused as error:
            self.lose(recipient, error)
        finally:
            self.depth = saved
            self._open.discard(key)

    def _expand(self, entry: Entry, recipient: str, depth: int, return_path: str | None, extension: str) -> None:
        if isinstance(entry, Recipient):
            if self._is_held(entry) and isinstance(entry, MailingList):
                self.say(f"{entry.dn}: waits for a moderator")
                held = ListMail(entry, recipient, "post", mailing_list=entry)
                self.steps.setdefault(held.target, held)
                return
            self._check_status(entry)
        if isinstance(entry, MailboxHolder):
            if not (entry.extensions and follow(self, entry, extension, recipient, depth, return_path)):
                self._holder(entry, recipient, depth, return_path, extension)
        elif isinstance(entry, Alias):
            self.say(f"{entry.dn} is an alias")
            for text in entry.forwards:
                self.address(text, depth + 1, return_path, outside=True)
            for dn in entry.targets:
                self.named(dn, recipient, depth + 1, return_path)
        elif isinstance(entry, MailingList):
            self._list(entry, recipient, depth)
        elif isinstance(entry, Group):
            self.say(f"{entry.dn} is a group")
            for dn in (*entry.members, *entry.unique_members):
                self.named(dn, recipient, depth + 1, return_path)
        else:
            self.say(f"{entry.dn} has no mailbox, passed over")

    def _is_held(self, entry: Recipient) -> bool:
        """The list that is written to decides who may; lists in it leave that to it."""
        is_asked = entry is self.first or isinstance(entry, MailingList)
        return self._gate is not None and is_asked and self._list_of_copy is None and self._gate(entry)

    def _check_status(self, entry: Recipient) -> None:
        if self._directory.is_held(entry.id):
            raise Deferred(Condition.DIRECTORY_STALE, f"{entry.dn} is held by the deletion brake")
        if entry.status == "closed" or (entry.expires is not None and entry.expires <= self.now):
            raise Refused(Condition.ACCOUNT_CLOSED, entry.dn)
        if entry.status not in ("active", "noaccess"):
            raise Deferred(Condition.ACCOUNT_SUSPENDED, entry.dn)

    def _holder(
        self, holder: MailboxHolder, recipient: str, depth: int, return_path: str | None, extension: str
    ) -> None:
        if holder.delivery:
            self.say(f"{holder.dn}: programs {', '.join(holder.delivery)}")
            self.instruct(holder, recipient, return_path, extension)
            return
        if holder.forwards and holder.keep_copy and self.other_host(holder):
            self.instruct(holder, recipient, return_path, extension)
            return
        if not (self.forward(holder, holder.forwards, depth, return_path) and not holder.keep_copy):
            self.keep(holder, recipient, return_path)

    def forward(self, holder: MailboxHolder, addresses: Iterable[str], depth: int, return_path: str | None) -> bool:
        """Walk where somebody has his mail sent; False when it may go to none of them."""
        any_allowed = False
        for text in addresses:
            if not self._router.may_forward_to(text):
                self.say(f"{holder.dn} forwards to {text}, which route.external_forward does not allow")
                continue
            if self._trace is not None:
                self.say(f"{holder.dn} forwards to {text}")
            any_allowed = True
            self.address(text, depth + 1, return_path, outside=True)
        return any_allowed

    def keep(self, holder: MailboxHolder, recipient: str, return_path: str | None, mailbox: str = "") -> None:
        """The store of `holder` gets it, in `mailbox` ("" = INBOX) if he has one of that name."""
        step = self._place(holder, recipient, return_path, mailbox)
        if step.target in self.steps:
            return
        self._count()
        if self._trace is not None:
            where = (
                f"by LMTP to {step.host}"
                if isinstance(step, RemoteLmtp)
                else f"delivered here{mailbox and f', into {mailbox}'}"
            )
            self.say(f"{holder.dn}: {where}")
        self.steps[step.target] = step

    def instruct(self, holder: MailboxHolder, recipient: str, return_path: str | None, extension: str) -> None:
        """The rules of `holder` are followed with the message in hand, on the host that has his store; so are his
        forwards where that is another one and gets the message anyhow: else both would follow them."""
        place = self._place(holder, recipient, return_path)
        step = (
            replace(place, extension=extension)
            if isinstance(place, RemoteLmtp)
            else Instructions(holder, recipient, extension, return_path, mailing_list=self._list_of_copy)
        )
        if step.target not in self.steps:
            self._count()
            self.say(f"{holder.dn}: decided with the message in hand")
            self.steps[step.target] = step

    def drop(self, holder: MailboxHolder, recipient: str) -> None:
        """Nobody gets it here, and that is right so."""
        step = Discard(holder, recipient)
        if step.target not in self.steps:
            self._count()
            self.steps[step.target] = step

    def other_host(self, holder: MailboxHolder) -> str:
        """The host that has his store, "" = this one."""
        host = holder.mail_host or ""
        return "" if host.lower() in self._router.host_names else host

    def _place(
        self, holder: MailboxHolder, recipient: str, return_path: str | None, mailbox: str = ""
    ) -> Local | RemoteLmtp:
        host = self.other_host(holder)
        if host:
            return RemoteLmtp(host, holder, recipient, return_path, mailing_list=self._list_of_copy)
        return Local(holder, recipient, return_path, mailing_list=self._list_of_copy, mailbox=mailbox)

    def account(
        self, account: str, recipient: str, mailbox: str = "", extension: str | None = None
    ) -> Local | RemoteLmtp | Instructions:
        """The step of an account by its id. Raises Refused, Deferred."""
        entry = self._directory.by_id(account)
        if not isinstance(entry, MailboxHolder):
            if self.is_final:
                raise Refused(Condition.NO_SUCH_RECIPIENT, f"{account} is gone")
            raise Deferred(Condition.DIRECTORY_STALE, self.why_not_final)
        self._check_status(entry)
        place = self._place(entry, recipient, None, mailbox)
        if isinstance(place, RemoteLmtp):
            return replace(place, extension=extension)
        if extension is None:
            return place
        return Instructions(entry, recipient, extension)

    # lists

    def _list(self, entry: MailingList, recipient: str, depth: int) -> None:
        self.say(f"{entry.dn} is a list")
        path = bounce_address(entry)
        outer, outer_list = self._excluded, self._list_of_copy
        saved = self._inner, self._member, self._parked, self._no_copy
        self._list_of_copy = outer_list or entry
        self._inner, self._member, self._parked = entry, None, self._router.lists.parked(entry.id)
        self._no_copy = self._router.lists.no_copy(entry.id)
        if entry.member_exclude or entry.exclude_addresses:
            self._excluded = outer | self._exclusions(entry)
        try:
            for dn in (*entry.members, *entry.unique_members):
                self.named(dn, recipient, depth + 1, path)
            for text in entry.member_addresses:
                self._member_address(text, depth + 1, path)
            for url in entry.member_urls:
                for found in self._search(url):
                    address = found.primary if isinstance(found, Recipient) else None
                    self.entry(found, address or recipient, depth + 1, path)
            if entry.archive:
                self._archive(entry.archive, recipient, path)
        finally:
            self._excluded, self._list_of_copy = outer, outer_list
            self._inner, self._member, self._parked, self._no_copy = saved

    def _archive(self, dn: str, recipient: str, path: str | None) -> None:
        """A shared mailbox keeps every message to the list; a name that leads to none must not stop the list."""
        holder = self._directory.by_dn(dn)
        if not isinstance(holder, MailboxHolder):
            self.say(f"{dn}: no mailbox for the archive, passed over")
            return
        try:
            self._check_status(holder)
        except Deferred as error:
            self.later(recipient, holder.id, error, path)
        except Refused as error:
            self.lose(recipient, error)
        else:
            self.keep(holder, holder.primary or recipient, path)

    def _gets_none(self, member: str, name: str, entry: Recipient | None) -> bool:
        """True for a member who gets no copy of this message; the operator is told why."""
        if member in self._no_copy and self._is_sender(member, entry):
            self.say(f"{name} wrote it and wants no copy")
            return True
        if member in self._parked:
            self.say(f"{name} is parked: bounces")
            return True
        return False

    def _is_sender(self, member: str, entry: Recipient | None) -> bool:
        """True when the return path is an address of this member."""
        own = known_as(self.sender or "")
        return bool(own) and (own == member or (entry is not None and own in entry.addresses))

    def _member_address(self, text: str, depth: int, path: str | None) -> None:
        member = known_as(text)
        if member in self._excluded:
            return
        if self._gets_none(member, text, None):
            return
        self._member = member
        try:
            self.address(text, depth, path, outside=True)
        finally:
            self._member = None

    def _search(self, url: str) -> Iterator[Entry]:
        try:
            yield from self._directory.search(*parse(url))
        except ValueError as error:  # somebody's typing error in one URL must not stop the rest of the list
            self._stray(f"passed over: {error}")

    def _exclusions(self, entry: MailingList) -> set[str]:
        """Ids and canonical addresses that get nothing from this list."""
        found: set[str] = set()
        for text in entry.exclude_addresses:
            try:
                address = str(canonical_address(text))
            except InvalidAddress:
                continue
            found.add(address)
            found.update(owner.id for owner in self._directory.owners(address))
        waiting = list(entry.member_exclude)
        while waiting and len(found) < self._limits.max_members:
            excluded = self._directory.by_dn(waiting.pop())
            if excluded is None or excluded.id in found:
                continue
            found.add(excluded.id)
            if isinstance(excluded, Group | MailingList):
                waiting.extend((*excluded.members, *excluded.unique_members))
        return found

    def served(self, entry: MailingList, recipient: str, suffix: str, token: str) -> bool:
        """Walk what is behind `<list><suffix>`. False when nobody is."""
        if suffix == BOUNCES:
            self.say(f"{recipient}: a bounce of {entry.dn}")
            step = ListMail(entry, recipient, "bounce", token)
            self.steps.setdefault(step.target, step)
            return True
        if suffix == REQUEST:
            step = ListMail(entry, recipient, "request")
            self.steps.setdefault(step.target, step)
            return True
        if not (entry.owners or entry.owner_addresses):
            return False
        self.say(f"{recipient} is read by the owners of {entry.dn}")
        for dn in entry.owners:
            self.named(dn, recipient, self.depth + 1, None)
        for text in entry.owner_addresses:
            self.address(text, self.depth + 1, None, outside=True)
        return True
