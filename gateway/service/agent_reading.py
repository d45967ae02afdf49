"""Control verbs that read the directory for a person: who he is, what he may look after, and the entries he may see.

An administrator sees everything; a domain's administrator what has an address in his domains; the help desk people;
the owner of a list or alias that one; everybody his own entry.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from directory.ldif import write_record
from directory.model import (
    Account,
    Alias,
    Domain,
    Entry,
    Group,
    MailingList,
    Recipient,
    ServiceAccount,
    SharedMailbox,
)
from directory.rights import PASSWORD, Actor
from directory.settings import DirectorySettings
from directory.write import WritePort
from directory.write_values import is_operational
from gateway.control.protocol import MAX_LINE
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.agent_accounts import KINDS, Accounts
from gateway.service.agent_address_book import PAUSE_FACTOR

MAX_FOUND = 200
MAX_PICKED = 20
NO = 1  # the exit code that says so
MAX_VALUES = 2000  # of one field in an answer
PICKED = (Account, MailingList, SharedMailbox, Alias, Group)


class Whoami(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing is asked: the claim says who."""


class Find(msgspec.Struct, forbid_unknown_fields=True):
    """Entries of a kind in whose name, login or addresses `text` occurs ("" = all), from number `start` on."""

    kind: Literal["user", "alias", "list", "shared", "domain"]
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    domain: str = ""
    status: Literal["", "active", "noaccess", "suspended", "closed"] = ""
    start: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_FOUND)] = 50


class Show(msgspec.Struct, forbid_unknown_fields=True):
    """One entry, named as a person names it."""

    kind: Literal["user", "alias", "list", "shared", "domain"]
    name: str


class Export(msgspec.Struct, forbid_unknown_fields=True):
    """As LDIF, or field by field, what `find` finds, from number `start` on; as many as an answer has room for."""

    kind: Literal["user", "alias", "list", "shared", "domain"]
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    domain: str = ""
    status: Literal["", "active", "noaccess", "suspended", "closed"] = ""
    start: Annotated[int, msgspec.Meta(ge=0)] = 0
    form: Literal["ldif", "fields"] = "ldif"


class MembersOf(msgspec.Struct, forbid_unknown_fields=True):
    """Members of a list in whose name or address `text` occurs, from number `start` on."""

    list: str
    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    start: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_FOUND)] = 50


class Form(msgspec.Struct, forbid_unknown_fields=True):
    """What the person may fill in of a new entry of that kind."""

    kind: Literal["user", "alias", "list", "shared", "domain"]


class Pick(msgspec.Struct, forbid_unknown_fields=True):
    """Entries to name in another one, as a list's members: the first in whose name, login or address `text` occurs."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_PICKED)] = 10


class Reading:
    """The verbs' functions. They look one at a time: a view of the directory serves one thread."""

    def __init__(
        self,
        accounts: Accounts,
        settings: DirectorySettings,
        generation: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`generation` differs after any change of the directory."""
        self._accounts, self._settings = accounts, settings
        self._generation, self._clock = generation, clock
        #: ids of all lists; of which generation they are; from when on they may be looked up anew
        self._lists: tuple[str, ...] = ()
        self._lists_of, self._lists_again = -1, 0.0

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "whoami": Verb(Right.ACT, self._whoami, Whoami),
            "find": Verb(Right.ACT, self._find, Find),
            "show": Verb(Right.ACT, self._show, Show),
            "export": Verb(Right.ACT, self._export, Export),
            "members-of": Verb(Right.ACT, self._members_of, MembersOf),
            "form": Verb(Right.ACT, self._form, Form),
            "pick": Verb(Right.ACT, self._pick, Pick),
        }

    def _whoami(self, caller: Caller, _: Whoami) -> dict[str, Any]:
        actor = self._accounts.actor(caller)
        account = actor.account
        if account is None:
            raise VerbError("that is asked by people who are logged in", 2)
        with self._accounts.looking() as port:
            domains = port.rights.domains_of(actor)
            lists = [
                entry.primary or sorted(entry.addresses)[0]
                for entry in self._mailing_lists(port)
                if entry.addresses and port.rights.looks_after(actor, entry)
            ]
            roles = port.rights.roles(actor)
        if lists and "list" not in roles:
            roles = (*roles, "list")
        return {
            "id": account.id,
            "login": account.logins[0] if account.logins else "",
            "name": getattr(account, "display_name", None) or getattr(account, "name", None) or "",
            "addresses": _addresses(account),
            "roles": roles,
            "domains": [domain.name for domain in domains],
            "lists": sorted(lists)[:MAX_FOUND],
            "services": account.services,
        }

    def _mailing_lists(self, port: WritePort) -> Iterator[MailingList]:
        """All of them; called with the write port held. Each page of the web front end asks who looks, so the whole
        directory is not gone through each time, nor at each change: at most a tenth of the time."""
        generation, begin = self._generation(), self._clock()
        if self._lists_of < 0 or (generation != self._lists_of and begin >= self._lists_again):
            self._lists = tuple(entry.id for entry in self._every(port, MailingList))
            self._lists_of, end = generation, self._clock()
            self._lists_again = end + PAUSE_FACTOR * (end - begin)
        for entry_id in self._lists:
            entry = port.directory.by_id(entry_id)
            if isinstance(entry, MailingList):
                yield entry

    def _every(self, port: WritePort, kind: type[Entry]) -> Iterator[Entry]:
        if kind is Domain:
            yield from port.directory.domains()
            return
        for entry in port.directory.search(self._settings.base, "sub", "(objectClass=*)"):
            if isinstance(entry, kind):
                yield entry

    def _matching(self, port: WritePort, actor: Actor, wanted: Find | Export) -> list[Entry]:
        """Those that match and that this person may see, by name."""
        words = wanted.text.casefold().split()
        found = []
        for entry in self._every(port, KINDS[wanted.kind]):
            if wanted.domain and not _in_domain(entry, wanted.domain):
                continue
            if wanted.status and getattr(entry, "status", None) != wanted.status:
                continue
            text = _searched(entry)
            if all(word in text for word in words) and port.rights.may_see(actor, entry):
                found.append(entry)
        found.sort(key=lambda entry: _title(entry).casefold())
        return found

    def _entry(self, actor: Actor, kind: str, name: str) -> Entry:
        """What is not there and what he may not look at sound the same. Raises VerbError."""
        try:
            return self._accounts.entry(kind, name)
        except VerbError as error:
            if error.code != NO or self._accounts.is_administrator(actor):
                raise
            raise VerbError(f"there is no {kind} {name!r} that you may look at", NO) from None

    def _find(self, caller: Caller, wanted: Find) -> dict[str, Any]:
        actor = self._accounts.actor(caller)
        with self._accounts.looking() as port:
            found = self._matching(port, actor, wanted)
        chosen = found[wanted.start : wanted.start + wanted.limit]
        return {"total": len(found), "entries": [_short(entry) for entry in chosen]}

    def _export(self, caller: Caller, wanted: Export) -> dict[str, Any]:
        actor = self._accounts.actor(caller)
        render = _as_ldif if wanted.form == "ldif" else _as_fields
        records: list[Any] = []
        room, number = MAX_LINE // 2, wanted.start
        with self._accounts.looking() as port:
            found = self._matching(port, actor, wanted)
            for entry in found[wanted.start :]:
                record = render(port, entry)
                room -= len(msgspec.json.encode(record))
                if room < 0 and records:
                    break
                # one that fits into no answer is named, not cut
                records.append(record if room >= 0 else _too_large(entry, wanted.form))
                number += 1
        return {"total": len(found), "next": number, "records": records}

    def _members_of(self, caller: Caller, wanted: MembersOf) -> dict[str, Any]:
        actor = self._accounts.actor(caller)
        entry = self._entry(actor, "list", wanted.list)
        assert isinstance(entry, MailingList)
        words = wanted.text.casefold().split()
        with self._accounts.looking() as port:
            if not port.rights.may_see(actor, entry):
                raise VerbError(f"there is no list {wanted.list!r} that you may look at", 1)
            rows = []
            for dn in (*entry.members, *entry.unique_members):
                other = port.directory.by_dn(dn)
                short = _short(other) if other is not None else {"key": dn, "title": dn, "addresses": []}
                address = short["addresses"][0] if short["addresses"] else ""
                # `value` is what the verb `members` takes it out by
                rows.append({"value": dn, "title": short["title"], "address": address, "gone": other is None})
            rows.extend(
                {"value": address, "title": "", "address": address, "gone": False} for address in entry.member_addresses
            )
            may_change = "members" in port.writable(actor, MailingList, entry, entry.addresses)
            read_only = port.read_only
        rows = [row for row in rows if all(word in f"{row['title']} {row['address']}".casefold() for word in words)]
        rows.sort(key=lambda row: str(row["title"] or row["address"]).casefold())
        return {
            "total": len(rows),
            "members": rows[wanted.start : wanted.start + wanted.limit],
            "searches": entry.member_urls,
            "may_change": may_change and not read_only,
        }

    def _show(self, caller: Caller, wanted: Show) -> dict[str, Any]:
        actor = self._accounts.actor(caller)
        entry = self._entry(actor, wanted.kind, wanted.name)
        with self._accounts.looking() as port:
            if not port.rights.may_see(actor, entry):
                raise VerbError(f"there is no {wanted.kind} {wanted.name!r} that you may look at", 1)
            addresses = entry.addresses if isinstance(entry, Recipient) else ()
            own = {
                name: _plain(value)
                for name, value in port.directory.own_values(entry.id).items()
                if not _is_long(value)
            }
            return {
                **_short(entry),
                "kind": wanted.kind,
                "dn": entry.dn,
                "version": port.directory.change_mark(entry.id),
                "values": _values(entry),
                "own": own,
                "names": _names(port, entry),
                "editable": port.writable(actor, type(entry), entry, addresses) if entry.dn else [],
                "may_delete": bool(entry.dn) and not port.rights.may_delete(actor, entry),
                "may_set_password": isinstance(entry, Account)
                and not port.rights.refusal(actor, entry, {PASSWORD}, kind=Account, addresses=addresses),
                "read_only": port.read_only,
            }

    def _form(self, caller: Caller, wanted: Form) -> dict[str, Any]:
        actor = self._accounts.actor(caller)
        kind = KINDS[wanted.kind]
        with self._accounts.looking() as port:
            domains = [domain.name for domain in port.rights.domains_of(actor)]
            addresses = {f"postmaster@{domains[0]}"} if domains and kind is not Domain else set()
            editable = port.writable(actor, kind, None, addresses)
            return {
                "domains": domains[:MAX_FOUND],
                "editable": editable,
                "may_add": bool(editable) and port.makes_entries,
                "read_only": port.read_only,
            }

    def _pick(self, caller: Caller, wanted: Pick) -> list[dict[str, Any]]:
        actor = self._accounts.actor(caller)
        words = wanted.text.casefold().split()
        found = []
        with self._accounts.looking() as port:
            if not port.rights.roles(actor) and not any(
                port.rights.looks_after(actor, entry) for entry in self._every(port, Recipient)
            ):
                raise VerbError("that is for people who administer entries", 5)
            for entry in self._every(port, Entry):
                if not isinstance(entry, PICKED) or (
                    getattr(entry, "hidden", False) and not port.rights.may_see(actor, entry)
                ):
                    continue
                text = _searched(entry)
                if all(word in text for word in words):
                    found.append(entry)
        found.sort(
            key=lambda entry: (not _searched(entry).startswith(words[0]) if words else False, _title(entry).casefold())
        )
        return [
            {name: value for name, value in _short(entry).items() if name in ("key", "title")}
            for entry in found[: wanted.limit]
        ]


def _as_ldif(port: WritePort, entry: Entry) -> str:
    dn, attributes = port.directory.attributes(entry.id) or (entry.dn, {})
    return write_record(dn, {name: values for name, values in attributes.items() if not is_operational(name)})


def _as_fields(port: WritePort, entry: Entry) -> dict[str, Any]:
    own = {name: _plain(value) for name, value in port.directory.own_values(entry.id).items() if not _is_long(value)}
    return {"key": _short(entry)["key"], "own": own, "names": _names(port, entry)}


def _too_large(entry: Entry, form: str) -> str | dict[str, Any]:
    if form == "ldif":
        return f"# {entry.dn} is too large for an export\n\n"
    return {"key": _short(entry)["key"], "own": {}, "names": {}}


def _addresses(entry: Entry) -> list[str]:
    if not isinstance(entry, Recipient):
        return []
    first = entry.primary or ""
    return sorted(entry.addresses, key=lambda address: (address != first, address))


def _in_domain(entry: Entry, domain: str) -> bool:
    return any(address.rpartition("@")[2] == domain for address in _addresses(entry))


def _title(entry: Entry) -> str:
    if isinstance(entry, Domain):
        return entry.name
    return str(
        getattr(entry, "display_name", None)
        or getattr(entry, "name", None)
        or getattr(entry, "primary", None)
        or entry.dn
    )


def _logins(entry: Entry) -> tuple[str, ...]:
    return tuple(entry.logins) if isinstance(entry, Account | ServiceAccount) else ()


def _searched(entry: Entry) -> str:
    return " ".join((_title(entry), *_logins(entry), *_addresses(entry))).casefold()


def _short(entry: Entry) -> dict[str, Any]:
    """What a table shows of an entry; `key` is the name under which other verbs take it."""
    addresses = _addresses(entry)
    logins = _logins(entry)
    key = (
        entry.name if isinstance(entry, Domain) else (logins[0] if logins else addresses[0] if addresses else entry.dn)
    )
    return {
        "id": entry.id,
        "key": key,
        "title": _title(entry),
        "logins": logins,
        "addresses": addresses,
        "status": getattr(entry, "status", None),
    }


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value


def _is_long(value: Any) -> bool:
    """True for what an answer has no room for: the members of a large list, whom `members-of` tells."""
    return isinstance(value, tuple | list | frozenset) and len(value) > MAX_VALUES


def _values(entry: Entry) -> dict[str, Any]:
    """Every field with a value, as effective now, but for what is long."""
    found = {}
    for field in dataclasses.fields(entry):
        value = getattr(entry, field.name)
        if value not in (None, (), frozenset(), "") and "ldap" in field.metadata and not _is_long(value):
            found[field.name] = _plain(value)
    return found


def _names(port: WritePort, entry: Entry) -> dict[str, str]:
    """What the distinguished names among an entry's values are called."""
    found: dict[str, str] = {}
    # the members of a list last: there is not room for all names, and owners matter more
    for value in sorted(
        _values(entry).values(), key=lambda value: len(value) if isinstance(value, tuple | list) else 0
    ):
        for text in value if isinstance(value, tuple | list) else ():
            if isinstance(text, str) and "=" in text and len(found) < MAX_FOUND:
                other = port.directory.by_dn(text)
                if other is not None:
                    found[text] = _short(other)["key"]
    return found
