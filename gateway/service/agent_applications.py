"""Control verbs for applications for a mailbox: asked for without a login, confirmed by mail, decided on by who administers
the domain. What waits stands in state.db.

    asked -> confirmed (the link of the mail was opened) -> approved (the entry is made) -> gone (a password is chosen)
                                                         -> gone (rejected)

Nothing here tells a stranger whether an address is taken: that is seen by who decides. The link is a secret of 160 bits, kept as
its hash; the approval has a new one. What nobody goes on with in MAX_DAYS is forgotten.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from directory.model import Account, InvalidAddress, canonical_address
from directory.rights import PASSWORD, READS_ONLY, Actor
from directory.state import State
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.agent_accounts import Accounts, AddUser, Change

MAX_WAITING = 1000
MAX_OF_A_CLIENT = 5  # applications of one address in a day
MAX_DAYS = 14
DAY = 86_400.0
_LOGIN = re.compile(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?\Z")
_COLUMNS = "id, at, login, name, domain, contact, note, client, state, decided_by, entry"
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Ask(msgspec.Struct, forbid_unknown_fields=True):
    """Somebody at `client` wants the address login@domain; `contact` is where he is reached now."""

    login: Text
    name: Text
    domain: Text
    contact: Text
    note: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    client: Annotated[str, msgspec.Meta(max_length=100)] = ""


class ByLink(msgspec.Struct, forbid_unknown_fields=True):
    """Whoever has the link."""

    id: str
    code: str

    def __repr__(self) -> str:
        return f"ByLink({self.id!r})"


class Finish(msgspec.Struct, forbid_unknown_fields=True):
    """Whoever has the link of an approval chooses his password."""

    id: str
    code: str
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]

    def __repr__(self) -> str:
        return f"Finish({self.id!r})"


class NoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of verbs that need none."""


class Decide(msgspec.Struct, forbid_unknown_fields=True):
    """Approve, with another login where that is better, or reject."""

    id: str
    decision: Literal["approve", "reject"]
    login: Annotated[str, msgspec.Meta(max_length=64)] = ""


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()


def _code() -> str:
    return base64.b32encode(secrets.token_bytes(20)).decode().lower()


def _facts(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(_COLUMNS.split(", "), row, strict=True))


class Applications:
    """The verbs' functions. `domains` are those that may be applied for, () = none."""

    def __init__(
        self, state: State, accounts: Accounts, domains: tuple[str, ...], now: Callable[[], float] = time.time
    ) -> None:
        self._state, self._accounts, self._now = state, accounts, now
        self._domains = tuple(domain.lower() for domain in domains)

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "application-ask": Verb(Right.FRONT, self._ask, Ask),
            "application-look": Verb(Right.FRONT, self._look, ByLink),
            "application-confirm": Verb(Right.FRONT, self._confirm, ByLink),
            "application-finish": Verb(Right.FRONT, self._finish, Finish),
            "application-list": Verb(Right.ACT, self._list, NoArguments),
            "application-decide": Verb(Right.ACT, self._decide, Decide),
        }

    # -- who applies ---------------------------------------------------------------------------------------

    def _ask(self, caller: Caller, wanted: Ask) -> dict[str, Any]:
        login, domain = wanted.login.strip().lower(), wanted.domain.strip().lower()
        if domain not in self._domains:
            raise VerbError(f"nobody applies for {domain}; there is {', '.join(self._domains) or 'none'}", 2)
        if _LOGIN.match(login) is None:
            raise VerbError(
                "a login has letters a to z, digits, dots and dashes, and begins and ends with one of the former", 2
            )
        if not wanted.name.strip().isprintable() or not wanted.note.replace("\n", " ").replace("\r", " ").isprintable():
            raise VerbError("name and note are text in one script or several, without control characters", 2)
        try:
            contact = str(canonical_address(wanted.contact.strip()))
        except InvalidAddress as error:
            raise VerbError(f"{wanted.contact.strip()!r}: {error}", 2) from None
        now, number, code = self._now(), _code()[:16], _code()
        self._state.check()
        with self._state.transaction() as db:
            db.execute("DELETE FROM application WHERE at<?", (now - MAX_DAYS * DAY,))
            held, of_client = db.execute(
                "SELECT count(*), coalesce(sum(client=? AND at>?), 0) FROM application", (wanted.client, now - DAY)
            ).fetchone()
            if held >= MAX_WAITING or of_client >= MAX_OF_A_CLIENT:
                raise VerbError("too many applications at the moment, try again tomorrow", 4)
            db.execute("DELETE FROM application WHERE contact=? AND state='asked'", (contact,))
            db.execute(
                f"INSERT INTO application ({_COLUMNS}, code) VALUES (?,?,?,?,?,?,?,?,'asked','','',?)",
                (number, now, login, wanted.name.strip(), domain, contact, wanted.note.strip(), wanted.client, _hash(code)),
            )  # fmt: skip
        return {"id": number, "code": code, "contact": contact, "address": f"{login}@{domain}"}

    def _by_link(self, wanted: ByLink | Finish) -> dict[str, Any]:
        self._state.check()
        rows = self._state.rows(
            f"SELECT {_COLUMNS} FROM application WHERE id=? AND code=? AND at>=?",
            (wanted.id, _hash(wanted.code), self._now() - MAX_DAYS * DAY),
        )
        if not rows:
            raise VerbError("this link leads to no application; it may have expired or been decided on", 1)
        return _facts(rows[0])

    def _look(self, caller: Caller, wanted: ByLink) -> dict[str, Any]:
        found = self._by_link(wanted)
        return {name: found[name] for name in ("login", "name", "domain", "contact", "state")}

    def _confirm(self, caller: Caller, wanted: ByLink) -> dict[str, Any]:
        found = self._by_link(wanted)
        if found["state"] == "asked":
            with self._state.transaction() as db:
                db.execute("UPDATE application SET state='confirmed' WHERE id=? AND state='asked'", (wanted.id,))
        return self._look(caller, wanted)

    def _finish(self, caller: Caller, wanted: Finish) -> dict[str, Any]:
        found = self._by_link(wanted)
        if found["state"] != "approved":
            raise VerbError("nobody has decided on this application yet", 1)
        with self._accounts.looking() as port:
            entry = port.directory.by_id(found["entry"])
        if not isinstance(entry, Account):
            raise VerbError("this account is gone", 1)
        actor = Actor(f"application of {found['contact']}")
        self._accounts.write("set-password", lambda port: port.password(actor, entry, wanted.password))
        with self._state.transaction() as db:
            db.execute("DELETE FROM application WHERE id=?", (wanted.id,))
        return {"login": entry.logins[0] if entry.logins else ""}

    # -- who decides ---------------------------------------------------------------------------------------

    def _may(self, actor: Actor, row: dict[str, Any]) -> bool:
        """True for who could make the entry himself."""
        with self._accounts.looking() as port:
            address = f"{row['login']}@{row['domain']}"
            return not port.rights.refusal(actor, None, {"display_name", PASSWORD}, kind=Account, addresses={address})

    def _list(self, caller: Caller, _: NoArguments) -> list[dict[str, Any]]:
        actor = self._accounts.actor(caller)
        self._state.check()
        rows = self._state.rows(
            f"SELECT {_COLUMNS} FROM application WHERE state='confirmed' ORDER BY at LIMIT {MAX_WAITING}"
        )
        found = [row for row in map(_facts, rows) if self._may(actor, row)]
        with self._accounts.looking() as port:
            for row in found:
                address = f"{row['login']}@{row['domain']}"
                row["is_taken"] = bool(port.directory.owners(address) or port.directory.by_login(row["login"]))
        return found

    def _decide(self, caller: Caller, wanted: Decide) -> dict[str, Any]:
        actor = self._accounts.actor(caller)
        if actor.reads_only:
            raise VerbError(READS_ONLY, 5)
        self._state.check()
        rows = self._state.rows(f"SELECT {_COLUMNS} FROM application WHERE id=? AND state='confirmed'", (wanted.id,))
        row = _facts(rows[0]) if rows else None
        if row is None or not self._may(actor, row):
            raise VerbError("no such application waits for you", 1)
        if wanted.decision == "reject":
            with self._state.transaction() as db:
                db.execute("DELETE FROM application WHERE id=?", (wanted.id,))
            return {
                "contact": row["contact"],
                "address": f"{row['login']}@{row['domain']}",
                "id": wanted.id,
                "code": "",
            }
        login = (wanted.login or row["login"]).strip().lower()
        if _LOGIN.match(login) is None:
            raise VerbError(f"{login!r} is no login", 2)
        address, code = f"{login}@{row['domain']}", _code()
        made = self._accounts.make_user(
            actor,
            AddUser(
                login=login, name=row["name"], addresses=(address,), changes=(Change("status", "set", ("active",)),)
            ),
        )
        with self._state.transaction() as db:
            db.execute(
                "UPDATE application SET state='approved', at=?, login=?, code=?, decided_by=?, entry=? WHERE id=?",
                (self._now(), login, _hash(code), actor.name, made["entry"], wanted.id),
            )
        return {"contact": row["contact"], "address": address, "id": wanted.id, "code": code}
