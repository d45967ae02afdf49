"""From a recipient to a plan, by directory facts only (microseconds, no network).

One walk serves accounts, forwards, aliases, lists, groups and catch-alls; each target comes once, a
circle ends where it closes. The walk also writes its own account of every step when it is asked for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from directory.model import (
    Condition,
    Deferred,
    Domain,
    InvalidAddress,
    MailboxHolder,
    MailingList,
    Recipient,
    Refused,
    canonical_address,
)
from directory.model.selftest import is_selftest
from directory.port import Directory
from gateway.lists.addresses import served
from gateway.mail.srs import Srs
from gateway.route.extension import ownable, split
from gateway.route.lists import ListFacts, NothingKnown
from gateway.route.plan import Instructions, Later, ListMail, Local, Lost, Plan, RemoteLmtp
from gateway.route.settings import RouteSettings
from gateway.route.special import ALWAYS, administrators
from gateway.route.walk import Gate, Walk


class Router:
    """Answers for one recipient at a time. `host_names` are the names of this host in `gatepostMailHost`; with
    `srs` reports to rewritten return paths find their way back."""

    def __init__(
        self,
        directory: Directory,
        settings: RouteSettings | None = None,
        *,
        host_names: tuple[str, ...] = (),
        lists: ListFacts | None = None,
        srs: Srs | None = None,
    ) -> None:
        self.directory = directory
        self._srs = srs
        self.settings = settings or RouteSettings()
        self.lists = lists or NothingKnown()
        self.host_names = frozenset(name.lower() for name in host_names)

    def route(
        self,
        recipient: str,
        now: float,
        *,
        outside: bool = False,
        local_only: bool = False,
        gate: Gate | None = None,
        sender: str | None = None,
        trace: list[str] | None = None,
    ) -> Plan:
        """The plan for `recipient`. Raises Refused (final) or Deferred (not now).

        `outside`: an address in a foreign domain may be routed too (an authenticated originator).
        `local_only`: refuse what has no store on this host (LMTP, RFC 2033 4.2).
        `gate`: is asked of the entry addressed, and of every list that is reached without passing through another
        list; it raises Refused or Deferred where this sender may not write, and is True where moderators decide.
        `sender`: the return path ("" = `<>`), for rules that ask for it; None = not known.
        `trace`: gets a line for each step of the decision (`doctor address`).
        """
        walk = self._walk(now, trace, gate, sender)
        if recipient.lower() == "postmaster":  # RFC 5321 4.5.1: without a domain too
            walk.say("postmaster without a domain")
            self._responsible(walk, "postmaster", None, recipient)
        else:
            walk.address(recipient, 0, None, outside=outside)
        plan = self._answer(walk)
        if local_only and not plan.is_local:
            if isinstance(walk.first, MailboxHolder) and any(
                isinstance(step, Local) and step.holder.id == walk.first.id for step in plan.steps
            ):  # the queue sends on what has to leave
                return Plan((Instructions(walk.first, recipient, walk.extension),), walk.first)
            for step in plan.steps:
                if isinstance(step, RemoteLmtp):
                    raise Deferred(Condition.ACCOUNT_ELSEWHERE, f"{step.holder.dn} is on {step.host}")
                if isinstance(step, Later):
                    raise step.reason
            raise Refused(Condition.NOT_LOCAL, f"{recipient} leads outside")
        return plan

    def route_account(
        self, account: str, recipient: str, now: float, mailbox: str = "", extension: str | None = None
    ) -> Local | RemoteLmtp | Instructions:
        """The step for an account found earlier (the queue asks again): where its store is now, or with `extension`
        that its rules are to be followed.

        Raises Refused, Deferred. Forwards are not followed again: they were when the message came.
        """
        return self._walk(now).account(account, recipient, mailbox, extension)

    def route_held(self, list_id: str, recipient: str, now: float) -> ListMail:
        """The step of a post for the moderators of a list. Raises Refused, Deferred."""
        freshness = self.directory.freshness()
        entry = self.directory.by_id(list_id) if freshness.complete else None
        if isinstance(entry, MailingList):
            return ListMail(entry, recipient, "post")
        if freshness.absence_is_final(now):
            raise Refused(Condition.NO_SUCH_RECIPIENT, f"{list_id} is gone")
        raise Deferred(Condition.DIRECTORY_STALE, f"is the list {list_id} still there?")

    def _walk(
        self, now: float, trace: list[str] | None = None, gate: Gate | None = None, sender: str | None = None
    ) -> Walk:
        """Raises Deferred while there is no copy of the directory."""
        freshness = self.directory.freshness()
        if not freshness.complete:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, "no complete copy of the directory yet")
        return Walk(
            self, now, freshness.absence_is_final(now), freshness.braked or "copy is not fresh", trace, gate, sender
        )

    def may_forward_to(self, text: str) -> bool:
        """May a person have his mail sent to this address (`route.external_forward`)?"""
        if self.settings.external_forward == "allow":
            return True
        try:
            return self.directory.domain(canonical_address(text).domain) is not None
        except InvalidAddress:
            return True  # nothing is sent there; the walk says why

    def _answer(self, walk: Walk) -> Plan:
        """RCPT for one target answers for that target; for several, 250 if one can take it now or later.

        Where nobody can, a reference that leads nowhere makes the answer temporary: it is trouble in the
        directory (an entry that just moved, or lies outside the copy), not the absence of the recipient.
        """
        steps, deferred, lost = walk.steps, walk.deferred, walk.lost
        if len(steps) + len(deferred) + len(lost) > 1 and (steps or deferred):
            return Plan(
                (*steps.values(), *deferred), walk.first, tuple(Lost(address, reason) for address, reason in lost)
            )
        if steps:
            return Plan(tuple(steps.values()), walk.first)
        if deferred:
            raise deferred[0].reason
        if walk.astray:
            raise Deferred(Condition.DIRECTORY_STALE, walk.astray)
        if lost:
            raise lost[0][1]
        if walk.is_final:
            raise Refused(Condition.NOBODY_THERE, "nothing behind this address")
        raise Deferred(Condition.DIRECTORY_STALE, walk.why_not_final)

    # how an address finds its owner

    def find(self, walk: Walk, recipient: str, local: str, given: str, domain: Domain) -> bool:
        """Walk what owns `local` in `domain`; `given` is the domain as addressed. False when nobody does."""
        if given != domain.name:
            walk.say(f"{given} is an alias of {domain.name}")
        owner, extension = self._owner(walk, local, given, domain)
        if owner is not None:
            walk.entry(owner, recipient, walk.depth, walk.return_path, extension)
            return True
        if local in ALWAYS:
            self._responsible(walk, local, domain, recipient)
            return True
        if local.startswith("srs") and self._rewritten(walk, recipient):
            return True
        listed = served(local)
        if listed is not None:
            mailing_list, _ = self._owner(walk, listed[0], given, domain)
            if isinstance(mailing_list, MailingList) and walk.served(mailing_list, recipient, *listed[1:]):
                return True
        if domain.catch_all:
            walk.say(f"{domain.name} has a catch-all")
            for target in domain.catch_all:
                walk.address(target.replace("*", local), walk.depth + 1, walk.return_path, outside=True)
            return True
        if domain.kind in ("relay", "backup"):
            walk.say(f"{domain.name} is a {domain.kind} domain: relayed")
            walk.relay(recipient, walk.return_path)
            return True
        return False

    def _owner(self, walk: Walk, local: str, given: str, domain: Domain) -> tuple[Recipient | None, str]:
        """The owner of the first form of `local` that anybody owns (jane+a+b, jane+a, jane), and the rest of it."""
        separators = self.settings.extension_separator
        for form, address in ownable(local, given, domain, separators):
            owners = self.directory.owners(address)
            if len(owners) > 1:
                raise Deferred(Condition.ADDRESS_AMBIGUOUS, "; ".join(owner.dn for owner in owners))
            if owners:
                walk.say(f"{address} belongs to {owners[0].dn}")
                if form != local and isinstance(owners[0], MailingList) and served(local) is not None:
                    break  # `-owner` is no extension of a list
                return owners[0], split(local, form, separators)
        return None, ""

    def _rewritten(self, walk: Walk, recipient: str) -> bool:
        """Walk to the sender of a message that was forwarded, with a report about it: nothing else goes there."""
        if self._srs is None or walk.sender:
            return False
        original = self._srs.reverse(recipient.rpartition("@")[0], walk.now)
        if original is None:
            return False
        walk.say(f"a rewritten return path: {original}")
        walk.address(original, walk.depth + 1, walk.return_path, outside=True)
        return True

    def _responsible(self, walk: Walk, local: str, domain: Domain | None, recipient: str) -> None:
        """Walk to whoever reads postmaster, abuse, mailer-daemon and root where no entry owns the address."""
        tried = [self.settings.postmaster] if self.settings.postmaster else []
        if domain is not None and local != "postmaster":
            tried.append(f"postmaster@{domain.name}")
        others = (
            f"postmaster@{other.name}"
            for other in self.directory.domains()
            if other != domain and not is_selftest(other.name)
        )
        if self._read_by(walk, local, tried if domain is not None else (*tried, *others)):
            return
        for dn in administrators(self.directory, domain):
            walk.say(f"{local} is read by the administrator {dn}")
            walk.named(dn, recipient, walk.depth + 1, walk.return_path)
            if walk.steps or walk.deferred:
                return
        if domain is not None and self._read_by(walk, local, others):
            return
        walk.later(recipient, "", Deferred(Condition.NO_ROUTE, f"nobody reads {local}: set route.postmaster"), None)

    def _read_by(self, walk: Walk, local: str, addresses: Iterable[str]) -> bool:
        """Walk to the first of the addresses that somebody reads; False when nobody does."""
        for text in addresses:
            try:
                address = canonical_address(text)
                owned = bool(self.directory.owners(str(address)))
            except InvalidAddress:
                continue
            if owned or (text == self.settings.postmaster and self.directory.domain(address.domain) is None):
                walk.say(f"{local} is read by {text}")
                walk.address(text, walk.depth + 1, walk.return_path, outside=True)
                return True
        return False
