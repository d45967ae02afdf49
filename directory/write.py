"""The write port: the only way in which Gatepost changes the directory.

A wish names an actor, an entry, the version of it that he saw, and changes. It is checked against the
rights, encoded field by field, written into the journal, then sent with the assertion that the entry is
still the one that was looked at. What was written is in the local copy before the answer, as far as that
takes a moment only. CLI and web use nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from directory.domain_accounts import count_accounts
from directory.login_rules import named
from directory.model import Account, Deferred, Domain, Entry, InvalidAddress, Recipient, canonical_address, domain_of
from directory.port import Directory
from directory.profile import Profile
from directory.raw import canonical_dn
from directory.rights import PASSWORD, READS_ONLY, Actor, Rights
from directory.write_journal import Journal, Row
from directory.write_problem import CHANGED_MEANWHILE, Conflict, Invalid, NotAllowed, NotThere, WriteProblem
from directory.write_server import Delta, WriteServer
from directory.write_values import KIND_IN_WORDS, SAME, Field, encode, field_named, fields_of, is_operational, is_text

MAX_CHANGES = 100  # fields in one wish
MAX_VALUES = 10_000  # values in one wish
MAX_PASSWORD = 1024  # octets
REHEARSED = -1  # stands for the journal's number where nothing was written
SHOW_SECONDS = 2.0  # how long an answer waits for the local copy
_LOOK_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Wish:
    """One field: `operation` is set (replace all; no values = remove), add or remove."""

    field: str
    operation: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """What was done: the entry, its version now, the journal's number; `number` 0 = nothing had to change."""

    entry: str
    dn: str
    version: str
    number: int


def describe(entry: Entry) -> str:
    """The entry in a few words for a person."""
    if isinstance(entry, Domain):
        return f"domain {entry.name}"
    return str(getattr(entry, "primary", None) or entry.dn)


def _texts(raw: Mapping[str, list[bytes]], name: str) -> list[str]:
    return [value.decode("utf-8", "replace") for value in raw.get(name, ())]


#: where a new entry says its primary address, in the order in which they count
_PRIMARY = ("gatepostPrimaryAddress", "mail", "gatepostAddress")


class WritePort:
    """Thread-safe where `directory` is; blocks while the directory is asked. Raises WriteProblem, Deferred."""

    def __init__(
        self,
        directory: Directory,
        profile: Profile,
        rights: Rights,
        server: WriteServer,
        journal: Journal,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.directory, self.rights, self.journal = directory, rights, journal
        self._profile, self._server, self._now = profile, server, now

    # -- whom a person means -------------------------------------------------------------------------------

    def account(self, text: str) -> Account:
        """The account of that login name or address."""
        found = [entry for entry in named(self.directory, text.strip()) if isinstance(entry, Account)]
        if len(found) != 1:
            raise NotThere(f"no account {text!r}" if not found else f"{len(found)} accounts have the login {text!r}")
        return found[0]

    def owner(self, text: str, kind: type[Entry] = Recipient) -> Entry:
        """The entry that owns an address."""
        try:
            address = str(canonical_address(text.strip()))
        except InvalidAddress as error:
            raise Invalid(f"{text!r}: {error}") from None
        found = self.directory.owners(address)
        if not found:
            raise NotThere(f"nobody has the address {address}")
        if len(found) > 1:
            raise Conflict(f"{len(found)} entries have the address {address}: {'; '.join(e.dn for e in found)}")
        if not isinstance(found[0], kind):
            raise NotThere(f"{address} is {KIND_IN_WORDS[type(found[0])]}, not {KIND_IN_WORDS[kind]}")
        return found[0]

    def find_dn(self, text: str) -> str:
        """The distinguished name of the entry that a login name, an address or a name means."""
        if "=" in text and "@" not in text.partition("=")[0]:
            entry = self.directory.by_dn(text)
            if entry is None:
                raise Invalid(f"there is no entry {text}")
            return entry.dn
        found: Sequence[Entry] = named(self.directory, text)
        if not found and "@" in text:
            found = (self.owner(text),)
        if len(found) != 1:
            raise Invalid(f"{'no' if not found else len(found)} entries have the login or address {text!r}")
        return found[0].dn

    # -- what may be changed -------------------------------------------------------------------------------

    @property
    def read_only(self) -> str:
        """Why nothing can be written; "" = it can."""
        return self._server.read_only

    @property
    def makes_entries(self) -> bool:
        """False where entries are made by the directory's own tools only."""
        return bool(self._profile.has_own_schema)

    def writable(self, actor: Actor, kind: type[Entry], entry: Entry | None, addresses: Collection[str]) -> list[str]:
        """The fields of an entry (None: of a new one with these addresses) that `actor` may change here."""
        return [
            field.name
            for field in fields_of(kind).values()
            if field.facts.since is not None
            and self._profile.attribute_of(kind, field.name) is not None
            and not self.rights.refusal(actor, entry, {field.name}, kind=kind, addresses=addresses)
        ]

    # -- changes -------------------------------------------------------------------------------------------

    def change(
        self,
        actor: Actor,
        entry: Entry,
        wishes: Iterable[Wish],
        *,
        verb: str,
        version: str = "",
        rehearse: bool = False,
    ) -> Written:
        """Change fields of an entry. `version` is the change mark that the actor saw, "" = whatever it is now.

        `rehearse`: everything is checked that can be without the directory's own rules, and nothing is written; the
        answer's number is REHEARSED where something would be.
        """
        wishes = tuple(wishes)
        if not wishes or len(wishes) > MAX_CHANGES or sum(len(wish.values) for wish in wishes) > MAX_VALUES:
            raise Invalid(f"1 to {MAX_CHANGES} changes with at most {MAX_VALUES} values are allowed at a time")
        kind = type(entry)
        fields = [field_named(kind, wish.field) for wish in wishes]
        if isinstance(entry, Domain) and any(field.name == "name" for field in fields):
            raise Invalid("a domain keeps its name: add the new one, with this one among its aliases")
        self._permit(actor, entry, fields, wishes)
        current = self._current(entry, version)
        delta: dict[str, tuple[list[str], list[str]]] = {}
        for field, wish in zip(fields, wishes, strict=True):
            name = self._attribute(kind, field)
            gone, come = self._delta(field, wish, _texts(current, name.lower()))
            if gone or come:
                if name in delta:
                    raise Invalid(f"{field.name} is named twice")
                delta[name] = (gone, come)
        self.check_addresses(entry, delta)
        if rehearse:
            return Written(entry.id, entry.dn, self._version(current), REHEARSED if delta else 0)
        return self._modify(actor, entry, delta, self._version(current), verb)

    def _permit(self, actor: Actor, entry: Entry, fields: Sequence[Field], wishes: Sequence[Wish]) -> None:
        addresses = set(entry.addresses) if isinstance(entry, Recipient) else set()
        for field, wish in zip(fields, wishes, strict=True):
            if field.name in ("addresses", "mail", "primary_address"):
                addresses.update(text.strip().lower() for text in wish.values)
        why = self.rights.refusal(actor, entry, {field.name for field in fields}, kind=type(entry), addresses=addresses)
        for field, wish in zip(fields, wishes, strict=True):
            if field.name == "status" and not why:
                why = self.rights.may_set_status(
                    actor, entry, wish.values[0].strip().lower() if wish.values else "active"
                )
        if why:
            raise NotAllowed(why)

    def _attribute(self, kind: type[Entry], field: Field) -> str:
        name = self._profile.attribute_of(kind, field.name)
        if name is None:
            raise Invalid(
                f"{field.name}: the profile {self._profile.name} does not keep it in one attribute of its own; "
                "change it with the directory's own tools"
            )
        return field.facts.ldap_name if name == field.facts.ldap_name.lower() else name

    def _delta(self, field: Field, wish: Wish, have: list[str]) -> tuple[list[str], list[str]]:
        """(values that go, values that come), each as the directory writes them."""
        find = (lambda text: self._dn_there(text, have)) if wish.operation == "remove" else self.find_dn
        values = [encode(field, text, find) for text in wish.values]
        if not field.is_multi and (len(values) > 1 or wish.operation != "set"):
            raise Invalid(f"{field.name} has one value: write {field.name}=VALUE")
        same = SAME.get(field.facts.syntax.equality, str.casefold)
        present = {same(text): text for text in have}
        wanted = {same(text): text for text in values}
        if wish.operation == "set":
            # written differently counts as a change: the directory compares without case, people do not
            come = [text for text in wanted.values() if text not in have]
            gone = [text for text in have if text not in wanted.values()]
            return gone, come
        if wish.operation == "add":
            return [], [text for key, text in wanted.items() if key not in present]
        if wish.operation == "remove":
            missing = [text for key, text in wanted.items() if key not in present]
            if missing:
                raise NotThere(f"{field.name} has no value {missing[0]}; there is {', '.join(have[:20]) or 'none'}")
            return [present[key] for key in wanted], []
        raise Invalid(f"{wish.operation!r} is not one of set, add, remove")

    def _dn_there(self, text: str, have: Iterable[str]) -> str:
        """The distinguished name that is meant, also of an entry that is gone as long as it still stands there."""
        name = canonical_dn(text)
        return next((there for there in have if canonical_dn(there) == name), None) or self.find_dn(text)

    def check_addresses(self, entry: Entry | None, delta: Delta) -> None:
        """Raise Invalid for a new address that is not ours to give or somebody else's, or a login that is taken."""
        for name, (_, come) in delta.items():
            lower = name.lower()
            for text in come:
                if lower in ("gatepostaddress", "mail", "gatepostprimaryaddress"):
                    self._check_address(entry, text)
                elif lower == "uid":
                    taken = [found for found in self.directory.by_login(text) if entry is None or found.id != entry.id]
                    if taken:
                        raise Invalid(f"the login {text} belongs to {taken[0].dn}")
                elif lower in ("gatepostdomainname", "gatepostdomainalias"):
                    domain = self.directory.domain(text)
                    if domain is not None and (entry is None or domain.id != entry.id):
                        raise Invalid(f"the domain {text} is there already, in {domain.dn or 'the configuration'}")

    def _check_address(self, entry: Entry | None, text: str) -> None:
        address = canonical_address(text)
        if self.directory.domain(address.domain) is None:
            ours = ", ".join(domain.name for domain in self.directory.domains()[:20])
            raise Invalid(f"{address.domain} is no domain of ours; there is {ours or 'none'}")
        for other in self.directory.owners(str(address)):
            if entry is None or other.id != entry.id:
                raise Invalid(f"the address {address} belongs to {other.dn}")

    def _current(self, entry: Entry, version: str) -> dict[str, list[bytes]]:
        if not entry.dn:
            raise Invalid(
                f"{describe(entry)} stands in the configuration file (directory.domains), not in the directory"
            )
        current = self._server.read(entry.dn)
        if current is None:
            raise NotThere(f"{entry.dn} is gone from the directory")
        if version and self._version(current) not in ("", version):
            raise Conflict(f"{describe(entry)} {CHANGED_MEANWHILE}; look at it again, then try again")
        return current

    @staticmethod
    def _version(current: Mapping[str, list[bytes]]) -> str:
        return next(iter(_texts(current, "entrycsn")), "")

    def _modify(self, actor: Actor, entry: Entry, delta: Delta, version: str, verb: str) -> Written:
        if not delta:
            return Written(entry.id, entry.dn, version, 0)
        number = self.journal.begin(
            self._now(), actor.name, verb, entry.id, entry.dn,
            {"modify": {name: [list(gone), list(come)] for name, (gone, come) in delta.items()}},
            {"modify": {name: [list(come), list(gone)] for name, (gone, come) in delta.items()}},
        )  # fmt: skip
        with self._outcome(number):
            self._server.modify(actor, entry.dn, delta, version)
        return Written(entry.id, entry.dn, self._shown(entry.id, entry.dn), number)

    def _outcome(self, number: int) -> _Outcome:
        return _Outcome(self.journal, number)

    def _shown(self, entry_id: str, dn: str) -> str:
        """The entry's version now; returns when the local copy has it, or after a moment."""
        current = self._server.read(dn)
        version = self._version(current) if current is not None else ""
        self._wait(lambda: self.directory.change_mark(entry_id) == version)
        return version

    def _wait(self, what: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + SHOW_SECONDS
        while time.monotonic() < deadline:
            if what():
                return True
            time.sleep(_LOOK_SECONDS)
        return False

    # -- whole entries -------------------------------------------------------------------------------------

    def add(
        self,
        actor: Actor,
        kind: type[Entry],
        dn: str,
        classes: Sequence[str],
        values: Mapping[str, Sequence[str]],
        wishes: Iterable[Wish] = (),
        *,
        verb: str,
        rehearse: bool = False,
    ) -> Written:
        """Make an entry of `kind` with LDAP `values` and, field by field, `wishes` (operation set).

        `rehearse`: as for `change`.
        """
        if not self._profile.has_own_schema:
            raise Invalid(
                f"with the profile {self._profile.name} entries are made by the directory's own tools; "
                "they count here as soon as they are there"
            )
        fields = {}
        every = {name: list(texts) for name, texts in values.items()}
        for wish in wishes:
            field = field_named(kind, wish.field)
            name = self._attribute(kind, field)
            if len(wish.values) > 1 and not field.is_multi:
                raise Invalid(f"{field.name} has one value")
            before = every.get(name, ()) if field.is_multi else ()
            every[name] = [*before, *(encode(field, text, self.find_dn) for text in wish.values)]
            fields[field.name] = field
        every = {name: list(dict.fromkeys(texts)) for name, texts in every.items() if texts}
        addresses = {text.lower() for name in ("gatepostAddress", "mail") for text in every.get(name, ())}
        why = self.rights.refusal(actor, None, fields, kind=kind, addresses=addresses) or self.rights.inherits(
            actor, dn
        )
        if why:
            raise NotAllowed(why)
        self.check_addresses(None, {name: ([], texts) for name, texts in every.items()})
        if issubclass(kind, Account):
            self._check_count(every)
        if rehearse:
            if self.directory.by_dn(dn) is not None:
                raise Invalid("the directory has an entry of this name already")
            return Written("", dn, "", REHEARSED)
        number = self.journal.begin(
            self._now(), actor.name, verb, "", dn, {"add": {"objectClass": list(classes), **every}}, {"delete": {}}
        )
        with self._outcome(number):
            self._server.add(actor, dn, classes, every)
        self._wait(lambda: self.directory.by_dn(dn) is not None)
        made = self.directory.by_dn(dn)
        if made is None:
            return Written("", dn, "", number)
        self.journal.end(number, "done", entry=made.id)
        return Written(made.id, made.dn, self.directory.change_mark(made.id), number)

    def _check_count(self, values: Mapping[str, Sequence[str]]) -> None:
        """Raise Invalid where the domain of a new account has as many as it may have."""
        primary = next((values[name][0] for name in _PRIMARY if values.get(name)), "")
        domain = self.directory.domain(domain_of(primary))
        if domain is None or not domain.max_accounts:
            return
        count = count_accounts(self.directory, domain)
        if count >= domain.max_accounts:
            raise Invalid(
                f"{domain.name} has {count} accounts and may have {domain.max_accounts}: delete one, or raise its "
                "max_accounts (gatepostMaxAccounts)"
            )

    def delete(self, actor: Actor, entry: Entry, *, verb: str, version: str = "") -> Written:
        """Delete an entry."""
        why = self.rights.may_delete(actor, entry)
        if why:
            raise NotAllowed(why)
        current = self._current(entry, version)
        has = {
            name: values for name in current if not is_operational(name) and all(map(is_text, current[name]))
            for values in (_texts(current, name),)
        }  # fmt: skip
        number = self.journal.begin(
            self._now(), actor.name, verb, entry.id, entry.dn, {"delete": has},
            # an account's id is its mailbox: an entry made again would be somebody else
            None if isinstance(entry, Account) else {"add": has},
        )  # fmt: skip
        with self._outcome(number):
            self._server.delete(actor, entry.dn, self._version(current))
        self._wait(lambda: self.directory.change_mark(entry.id) == "")
        return Written(entry.id, entry.dn, "", number)

    def password(self, actor: Actor, entry: Account, new: str, old: str | None = None) -> Written:
        """Have the directory set a password; people changing their own give the old one."""
        try:
            fits = 0 < len(new.encode()) <= MAX_PASSWORD and "\0" not in new
        except UnicodeEncodeError:
            fits = False
        if not fits:
            raise Invalid(f"a password has 1 to {MAX_PASSWORD} octets")
        own = actor.account is not None and actor.account.id == entry.id
        if own and not (old or actor.password):
            raise NotAllowed("to change your own password, give the old one")
        why = self.rights.refusal(actor, entry, {PASSWORD}, kind=type(entry), addresses=entry.addresses)
        if why:
            raise NotAllowed(why)
        before = (old or actor.password) if own else None
        done = self.for_good(
            actor, entry, "passwd", {"password": True}, lambda server: server.password(actor, entry.dn, new, before)
        )
        if own and entry.must_change_password:
            operator = Actor(f"{actor.name} (after the change)")
            self.change(operator, entry, [Wish("must_change_password", "set", ())], verb="passwd")
        return done

    def read(self, entry: Entry, attribute: str) -> list[bytes]:
        """The values of an attribute as the directory itself has them. Raises WriteProblem, Deferred."""
        return (self._server.read(entry.dn, [attribute]) or {}).get(attribute.lower(), [])

    def for_good(
        self, actor: Actor, entry: Entry, verb: str, change: dict[str, Any], do: Callable[[WriteServer], None]
    ) -> Written:
        """Do what is allowed and cannot be taken back, between the two halves of its row. Raises WriteProblem, Deferred."""
        number = self.journal.begin(self._now(), actor.name, verb, entry.id, entry.dn, change, None)
        with self._outcome(number):
            do(self._server)
        return Written(entry.id, entry.dn, self._shown(entry.id, entry.dn), number)

    # -- taking back ---------------------------------------------------------------------------------------

    def undo(self, actor: Actor, number: int) -> Written:
        """Take a change of the journal back; the directory refuses where the entry has gone on since."""
        if actor.reads_only:
            raise NotAllowed(READS_ONLY)
        row = self.journal.row(number)
        if row is None:
            raise NotThere(f"the journal has no change {number}")
        if not self.rights.is_administrator(actor) and row.actor != actor.name:
            raise NotAllowed("only administrators take back what others did")
        if row.outcome != "done" or row.undo is None:
            raise Invalid(f"change {number} ({row.verb}, {row.outcome}) cannot be taken back")
        entry = self.directory.by_id(row.entry)
        if "add" in row.undo:
            return self._again(actor, row)
        if entry is None:
            raise NotThere(f"{row.dn} is gone")
        if "delete" in row.undo:
            return self.delete(actor, entry, verb=f"undo {number}")
        delta = {name: (gone, come) for name, (gone, come) in row.undo["modify"].items()}
        fields = {
            field.name: field for name in delta for field in fields_of(type(entry)).values()
            if (self._profile.attribute_of(type(entry), field.name) or "").lower() == name.lower()
        }  # fmt: skip
        addresses = entry.addresses if isinstance(entry, Recipient) else ()
        why = self.rights.refusal(actor, entry, fields, kind=type(entry), addresses=addresses)
        if why:
            raise NotAllowed(why)
        return self._modify(actor, entry, delta, "", f"undo {number}")

    def _again(self, actor: Actor, row: Row) -> Written:
        assert row.undo is not None
        if not self.rights.is_administrator(actor):
            raise NotAllowed("only administrators make deleted entries again")
        values: dict[str, list[str]] = dict(row.undo["add"])
        classes = values.pop("objectclass", [])
        number = self.journal.begin(
            self._now(), actor.name, f"undo {row.number}", "", row.dn, {"add": {"objectclass": classes, **values}},
            {"delete": {}},
        )  # fmt: skip
        with self._outcome(number):
            self._server.add(actor, row.dn, classes, values)
        self._wait(lambda: self.directory.by_dn(row.dn) is not None)
        made = self.directory.by_dn(row.dn)
        if made is None:
            return Written("", row.dn, "", number)
        self.journal.end(number, "done", entry=made.id)
        return Written(made.id, made.dn, self.directory.change_mark(made.id), number)


class _Outcome:
    """Writes into the journal how a change ended."""

    def __init__(self, journal: Journal, number: int) -> None:
        self._journal, self._number = journal, number

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None:
            self._journal.end(self._number, "done")
        elif isinstance(error, WriteProblem):
            self._journal.end(self._number, f"refused: {error}")
        elif isinstance(error, Deferred):
            self._journal.end(self._number, f"unclear: {error}")
