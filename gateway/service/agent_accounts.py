"""Control verbs that change the directory: people, aliases, lists, domains, passwords, the journal.

Each names what it wants in a person's words; the write port finds the entry, asks for the right and does it.
One change at a time: they are rare, and the write port's view of the directory serves one thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Literal

import msgspec

from directory import write_entries
from directory.authenticator import Authenticator
from directory.authenticator_tokens import APP, SESSION, method_of
from directory.login_rules import inside, may_come, may_use
from directory.model import (
    Account,
    Alias,
    Condition,
    Deferred,
    Domain,
    Entry,
    InvalidAddress,
    MailingList,
    Recipient,
    Refused,
    ServiceAccount,
    SharedMailbox,
    canonical_address,
    canonical_domain,
)
from directory.rights import Actor
from directory.settings import DirectorySettings
from directory.write import Wish, WritePort, Written, describe
from directory.write_problem import Conflict, Invalid, NotAllowed, NotThere, WriteProblem
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.observe.log import fields
from gateway.service.agent_passwords import Passwords

SESSION_ENDED = "the session has ended, log in again"
_log = logging.getLogger("gatepost.agent")
MAX_JOURNAL = 1000  # rows in one answer
Kind = Literal["user", "alias", "list", "domain", "shared"]
_CLASSES: dict[str, type[Recipient]] = {"alias": Alias, "list": MailingList, "shared": SharedMailbox}
KINDS: dict[str, type[Entry]] = {"user": Account, "domain": Domain, **_CLASSES}


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """One field of an entry."""

    field: str
    operation: Literal["set", "add", "remove"]
    values: tuple[str, ...] = ()


class ChangeEntry(msgspec.Struct, forbid_unknown_fields=True):
    """Change the entry of that kind and name; `version` is what the person saw, "" = whatever it is."""

    kind: Kind
    name: str
    changes: tuple[Change, ...]
    version: str = ""
    rehearse: bool = False


class DeleteEntry(msgspec.Struct, forbid_unknown_fields=True):
    """Delete it."""

    kind: Kind
    name: str
    version: str = ""


class AddUser(msgspec.Struct, forbid_unknown_fields=True):
    """A person; without a password nobody can log in yet."""

    login: str
    name: str
    addresses: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    password: str = ""
    rehearse: bool = False


class AddAlias(msgspec.Struct, forbid_unknown_fields=True):
    """An alias, or more targets of one that is there."""

    address: str
    targets: tuple[str, ...]


class RemoveTargets(msgspec.Struct, forbid_unknown_fields=True):
    """Targets to take out of an alias."""

    address: str
    targets: tuple[str, ...]


class AddList(msgspec.Struct, forbid_unknown_fields=True):
    """A mailing list."""

    address: str
    name: str = ""
    members: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()


class AddShared(msgspec.Struct, forbid_unknown_fields=True):
    """A mailbox that several people work on."""

    address: str
    name: str = ""
    changes: tuple[Change, ...] = ()


class Members(msgspec.Struct, forbid_unknown_fields=True):
    """Members to take into a list or out of it: logins, addresses or distinguished names."""

    list: str
    operation: Literal["add", "remove"]
    members: tuple[str, ...]


class AddDomain(msgspec.Struct, forbid_unknown_fields=True):
    """A mail domain."""

    name: str
    changes: tuple[Change, ...] = ()


class SetPassword(msgspec.Struct, forbid_unknown_fields=True):
    """A new password; people who change their own are proven by the claim."""

    login: str
    password: str

    def __repr__(self) -> str:
        return f"SetPassword({self.login!r})"


class Journal(msgspec.Struct, forbid_unknown_fields=True):
    """The latest changes, of one user or entry (by its id) when it is named, before the number `before` unless 0."""

    limit: int = 50
    login: str = ""
    entry: str = ""
    before: int = 0


class Undo(msgspec.Struct, forbid_unknown_fields=True):
    """Take one change back."""

    number: int


class Accounts:
    """The verbs' functions."""

    def __init__(self, port: WritePort, authenticator: Authenticator, settings: DirectorySettings) -> None:
        self._port, self._authenticator, self._settings = port, authenticator, settings
        self._lock = threading.Lock()
        self._passwords = Passwords(authenticator)

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        rows: tuple[tuple[str, Callable[[Actor, Any], Any], type[msgspec.Struct]], ...] = (
            ("change", self._change, ChangeEntry),
            ("delete", self._delete, DeleteEntry),
            ("add-user", self._add_user, AddUser),
            ("add-alias", self._add_alias, AddAlias),
            ("alias-remove", self._alias_remove, RemoveTargets),
            ("add-list", self._add_list, AddList),
            ("members", self._members, Members),
            ("add-shared", self._add_shared, AddShared),
            ("add-domain", self._add_domain, AddDomain),
            ("set-password", self._set_password, SetPassword),
            ("journal", self._journal, Journal),
            ("undo", self._undo, Undo),
        )
        return {name: Verb(Right.ACT, self._guarded(name, run), arguments) for name, run, arguments in rows}

    def _guarded(self, name: str, run: Callable[[Actor, Any], Any]) -> Callable[[Caller, Any], Any]:
        def verb(caller: Caller, arguments: Any) -> Any:
            actor = self.actor(caller, may_have_to_change=name == "set-password")
            try:
                with self._lock:
                    done = run(actor, arguments)
            except WriteProblem as problem:
                _log.info("%s", fields(event="change-refused", verb=name, actor=actor.name, detail=str(problem)))
                raise VerbError(str(problem), problem.code) from None
            if not isinstance(done, Written):
                return done
            if name == "set-password":
                self._passwords.end_sessions(done.entry)
            _log.info("%s", fields(event="changed", verb=name, actor=actor.name, dn=done.dn, change=done.number))
            return asdict(done)

        return verb

    def write(self, verb: str, run: Callable[[WritePort], Written]) -> dict[str, Any]:
        """A change that a verb of another file wants, alone with the write port. Raises VerbError, Deferred."""
        try:
            with self._lock:
                done = run(self._port)
        except WriteProblem as problem:
            _log.info("%s", fields(event="change-refused", verb=verb, detail=str(problem)))
            raise VerbError(str(problem), problem.code) from None
        _log.info("%s", fields(event="changed", verb=verb, dn=done.dn, change=done.number))
        return asdict(done)

    def make_user(self, actor: Actor, wanted: AddUser) -> dict[str, Any]:
        """As the verb add-user. Raises VerbError, Deferred."""
        return self.write("add-user", lambda port: self._add_user(actor, wanted))

    def actor(self, caller: Caller, *, may_have_to_change: bool = False, first_step: bool = False) -> Actor:
        """Who wants it. Raises VerbError for a claim that is not true, Deferred when that cannot be found out.

        `may_have_to_change`: a password that is right but must be changed is good enough.
        `first_step`: a password is good enough although the account has a second factor.
        """
        claim = caller.claim
        if claim is None:
            return Actor(f"operator (uid {caller.uid})")
        if claim.token:
            return self._by_token(claim.token, claim.address)
        try:
            proof = self._passwords.prove(claim, first_step=first_step or may_have_to_change)
        except Refused as error:
            if may_have_to_change and error.condition is Condition.PASSWORD_MUST_CHANGE:
                owner = self.account(claim.login)
                return Actor(owner.dn, owner, claim.password)
            raise VerbError(f"{claim.login or 'nobody'}: {error.text}", 5) from None
        with self._lock:
            entry = self._port.directory.by_id(proof.login.account)
        if not isinstance(entry, Account | ServiceAccount):
            raise VerbError("this account is gone", 5)
        # an app password is good for a device, not for administration
        if proof.login.method not in ("bind", "grace"):
            raise VerbError("the password of the directory is needed here", 5)
        return Actor(entry.dn, entry, claim.password)

    def prove_again(self, account: Account, password: str, address: str) -> None:
        """Whoever asks for `account` has typed its password again. Raises VerbError."""
        self._passwords.prove_again(account, password, address)

    def account(self, login: str) -> Account:
        """The account of that login name or address. Raises VerbError."""
        try:
            with self._lock:
                return self._port.account(login)
        except WriteProblem as problem:
            raise VerbError(str(problem), problem.code) from None

    @contextlib.contextmanager
    def looking(self) -> Iterator[WritePort]:
        """The write port, alone with it, to look at the directory and at rights. Raises VerbError for what it refuses."""
        with self._lock:
            try:
                yield self._port
            except WriteProblem as problem:
                raise VerbError(str(problem), problem.code) from None

    def entry(self, kind: str, name: str) -> Entry:
        """The entry of that kind (`Kind`) that a person means. Raises VerbError."""
        with self.looking():
            return self._entry(kind, name)

    def is_administrator(self, actor: Actor) -> bool:
        """True for who may do everything."""
        with self._lock:
            return self._port.rights.is_administrator(actor)

    def password_mark(self, account: str) -> str:
        """What differs after any change of the account's password, where the directory records those."""
        with self._lock:
            mark = self._port.directory.login_mark(account)
        return mark.password if mark is not None else ""

    def _by_token(self, token: str, address: str) -> Actor:
        now = self._authenticator.now()
        found = self._authenticator.tokens.find(token, now)
        with self._lock:
            entry = self._port.directory.by_id(found.account) if found is not None else None
        if found is None or found.kind == APP or not isinstance(entry, Account):
            raise VerbError(SESSION_ENDED, 5)
        if found.kind == SESSION and found.is_older(self.password_mark(entry.id)):
            raise VerbError(SESSION_ENDED, 5)
        try:  # as at a login: what was taken away since then counts at once
            may_come(entry, address, now)
            may_use(entry, "selfservice")
        except Refused:
            raise VerbError(SESSION_ENDED, 5) from None
        if found.networks and not inside(address, found.networks):
            raise VerbError(f"this token is not for {address}", 5)
        if found.services and "selfservice" not in found.services:
            raise VerbError("this token is for something else", 5)
        return Actor(entry.dn, entry, reads_only=method_of(found) == "program-read")

    # -- what is meant ---------------------------------------------------------------------------------------

    def _entry(self, kind: str, name: str) -> Entry:
        if "=" in name and "@" not in name.partition("=")[0]:
            found = self._port.directory.by_dn(name)
            if not isinstance(found, KINDS[kind]):
                raise NotThere(f"there is no {kind} {name!r}")
            return found
        if kind == "user":
            return self._port.account(name)
        if kind == "domain":
            return self._domain(name)
        return self._port.owner(name, _CLASSES[kind])

    def _domain(self, name: str) -> Domain:
        try:
            found = self._port.directory.domain(canonical_domain(name.strip()))
        except InvalidAddress as error:
            raise Invalid(f"{name!r}: {error}") from None
        if found is None:
            raise NotThere(f"no domain {name}; gatepost domain list shows those there are")
        return found

    def _sorted(self, names: tuple[str, ...], there: Collection[str] = ()) -> tuple[list[str], list[str]]:
        """(distinguished names of our entries, addresses outside) that logins, addresses or names mean.

        A name that is `there` already counts whether or not its entry is still in the directory.
        """
        inside: list[str] = []
        outside: list[str] = []
        for name in names:
            try:
                address = canonical_address(name.strip()) if "@" in name and "=" not in name else None
            except InvalidAddress as error:
                raise Invalid(f"{name!r}: {error}") from None
            if name in there:
                (outside if "@" in name and "=" not in name else inside).append(name)
            elif address is not None and self._port.directory.domain(address.domain) is None:
                outside.append(str(address))
            else:
                inside.append(self._port.find_dn(name))
        return inside, outside

    @staticmethod
    def _wishes(changes: tuple[Change, ...]) -> list[Wish]:
        return [Wish(change.field, change.operation, change.values) for change in changes]

    # -- verbs -----------------------------------------------------------------------------------------------

    def _change(self, actor: Actor, wanted: ChangeEntry) -> Written:
        entry = self._entry(wanted.kind, wanted.name)
        return self._port.change(
            actor,
            entry,
            self._wishes(wanted.changes),
            verb=f"{wanted.kind} set",
            version=wanted.version,
            rehearse=wanted.rehearse,
        )

    def _delete(self, actor: Actor, wanted: DeleteEntry) -> Written:
        entry = self._entry(wanted.kind, wanted.name)
        if isinstance(entry, Domain):
            self._check_empty(entry)
        return self._port.delete(actor, entry, verb=f"{wanted.kind} delete", version=wanted.version)

    def _check_empty(self, domain: Domain) -> None:
        """A domain with addresses in it is not deleted: mail to them would be relayed or refused for good."""
        names = {domain.name, *domain.aliases}
        left = [
            entry
            for entry in self._port.directory.search(self._settings.base, "sub", "(objectClass=*)")
            if isinstance(entry, Recipient) and any(a.rpartition("@")[2] in names for a in entry.addresses)
        ]
        if left:
            shown = ", ".join(describe(entry) for entry in left[:5])
            raise Invalid(
                f"{len(left)} entries have addresses in {domain.name}, such as {shown}: delete or move them first"
            )

    def _add_user(self, actor: Actor, wanted: AddUser) -> Written:
        addresses = wanted.addresses
        if not addresses:
            ours = self._port.rights.domains_of(actor)  # whose domains there are besides is not his business
            if "@" in wanted.login:
                addresses = (wanted.login,)
            elif len(ours) == 1:
                addresses = (f"{wanted.login}@{ours[0].name}",)
            else:
                names = ", ".join(domain.name for domain in ours[:20])
                raise Invalid(f"an address is needed (--address): there are several domains, {names or 'or none'}")
        new = write_entries.person(self._settings, wanted.login, wanted.name, addresses)
        made = self._add(actor, new, self._wishes(wanted.changes), "user add", rehearse=wanted.rehearse)
        if wanted.password and not wanted.rehearse:
            try:
                self._first_password(actor, made, wanted.password)
            except (WriteProblem, Deferred) as problem:
                entry = self._port.directory.by_id(made.entry)
                if entry is not None:
                    self._port.delete(Actor(f"{actor.name} (taken back)"), entry, verb="user add")
                if isinstance(problem, Deferred):
                    raise
                raise type(problem)(f"{problem}; the user was not made") from None
        return made

    def _first_password(self, actor: Actor, made: Written, password: str) -> None:
        entry = self._port.directory.by_id(made.entry)
        if not isinstance(entry, Account):
            raise Conflict(f"{made.dn} is not in the local copy yet: set the password with gatepost passwd")
        self._port.password(actor, entry, password)

    def _add(
        self, actor: Actor, new: write_entries.NewEntry, wishes: list[Wish], verb: str, *, rehearse: bool = False
    ) -> Written:
        return self._port.add(actor, new.kind, new.dn, new.classes, new.values, wishes, verb=verb, rehearse=rehearse)

    def _add_alias(self, actor: Actor, wanted: AddAlias) -> Written:
        if not wanted.targets:
            raise Invalid("an alias needs a target: a login or an address")
        new = write_entries.alias(self._settings, wanted.address)
        inside, outside = self._sorted(wanted.targets)
        there = self._port.directory.owners(new.values["gatepostAddress"][0])
        wishes = [
            Wish(field, "add" if there else "set", tuple(values))
            for field, values in (("targets", inside), ("forwards", outside))
            if values
        ]
        if not there:
            return self._add(actor, new, wishes, "alias add")
        entry = self._port.owner(wanted.address, Alias)
        return self._port.change(actor, entry, wishes, verb="alias add")

    def _alias_remove(self, actor: Actor, wanted: RemoveTargets) -> Written:
        entry = self._port.owner(wanted.address, Alias)
        assert isinstance(entry, Alias)
        inside, outside = self._sorted(wanted.targets)
        if not {*entry.targets, *entry.forwards} - {*inside, *outside}:
            raise Invalid(f"{wanted.address} would stand for nobody: remove the alias itself")
        wishes = [
            Wish(field, "remove", tuple(values))
            for field, values in (("targets", inside), ("forwards", outside))
            if values
        ]
        return self._port.change(actor, entry, wishes, verb="alias remove")

    def _add_list(self, actor: Actor, wanted: AddList) -> Written:
        new = write_entries.mailing_list(self._settings, wanted.address, wanted.name)
        inside, outside = self._sorted(wanted.members)
        wishes = [
            Wish(field, "set", tuple(values))
            for field, values in (("members", inside), ("member_addresses", outside))
            if values
        ]
        return self._add(actor, new, [*wishes, *self._wishes(wanted.changes)], "list add")

    def _members(self, actor: Actor, wanted: Members) -> Written:
        entry = self._port.owner(wanted.list, MailingList)
        assert isinstance(entry, MailingList)
        known = {*entry.members, *entry.unique_members, *entry.member_addresses}
        inside, outside = self._sorted(wanted.members, known if wanted.operation == "remove" else ())
        wishes = []
        if inside:
            field = "unique_members" if entry.unique_members and not entry.members else "members"
            wishes.append(Wish(field, wanted.operation, tuple(inside)))
        if outside:
            wishes.append(Wish("member_addresses", wanted.operation, tuple(outside)))
        return self._port.change(actor, entry, wishes, verb=f"list member {wanted.operation}")

    def _add_shared(self, actor: Actor, wanted: AddShared) -> Written:
        new = write_entries.shared_mailbox(self._settings, wanted.address, wanted.name)
        return self._add(actor, new, self._wishes(wanted.changes), "shared add")

    def _add_domain(self, actor: Actor, wanted: AddDomain) -> Written:
        return self._add(
            actor, write_entries.domain(self._settings, wanted.name), self._wishes(wanted.changes), "domain add"
        )

    def _set_password(self, actor: Actor, wanted: SetPassword) -> Written:
        return self._port.password(actor, self._port.account(wanted.login), wanted.password)

    def _journal(self, actor: Actor, wanted: Journal) -> list[dict[str, Any]]:
        if not self._port.rights.is_administrator(actor):
            raise NotAllowed("only administrators read the journal")
        entry = self._port.account(wanted.login).id if wanted.login else wanted.entry
        rows = self._port.journal.latest(max(1, min(wanted.limit, MAX_JOURNAL)), entry, wanted.before)
        return [{**asdict(row), "undo": row.undo is not None and row.outcome == "done"} for row in rows]

    def _undo(self, actor: Actor, wanted: Undo) -> Written:
        return self._port.undo(actor, wanted.number)
