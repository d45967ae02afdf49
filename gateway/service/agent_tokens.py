"""Control verbs for app passwords and web sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import msgspec

from directory.authenticator import Authenticator
from directory.authenticator_tokens import APP, PROGRAM, SESSION, Token, Tokens
from directory.model import Account, ServiceAccount
from directory.profile_source import WORDS
from directory.rights import Actor
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.agent_accounts import Accounts
from gateway.service.agent_second_step import SecondSteps

SESSION_SECONDS = 12 * 3600.0
LONGEST_SESSION = 30 * 86_400.0
OLDER = "older"


class AddAppPassword(msgspec.Struct, forbid_unknown_fields=True):
    """`seconds` 0 = for ever; no services or networks = all."""

    login: str
    name: str
    services: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0


class OfLogin(msgspec.Struct, forbid_unknown_fields=True):
    """Whose."""

    login: str


class Revoke(msgspec.Struct, forbid_unknown_fields=True):
    """One by its id, `all`, or `older`: those that are older than the password."""

    login: str
    id: str


class OpenSession(msgspec.Struct, forbid_unknown_fields=True):
    """A session for whoever the claim proves."""

    name: str = "web"
    services: tuple[str, ...] = ()
    seconds: float = SESSION_SECONDS


class SecondStep(msgspec.Struct, forbid_unknown_fields=True):
    """The second factor of somebody whose password was right: a code, or what the browser signed with a passkey."""

    ticket: Annotated[str, msgspec.Meta(max_length=100)]
    code: Annotated[str, msgspec.Meta(max_length=100)] = ""
    passkey: Annotated[str, msgspec.Meta(max_length=20_000)] = ""
    name: str = "web"
    services: tuple[str, ...] = ()
    seconds: float = SESSION_SECONDS

    def __repr__(self) -> str:
        return "SecondStep()"


class CloseSession(msgspec.Struct, forbid_unknown_fields=True):
    """The session's token."""

    token: str

    def __repr__(self) -> str:
        return "CloseSession()"


def _facts(token: Token, mark: str) -> dict[str, Any]:
    """`is_older`: than the account's password, whose mark is `mark`."""
    shown = {name: value for name, value in asdict(token).items() if name not in ("kind", "account", "password")}
    return {**shown, "is_older": token.is_older(mark)}


class TokenVerbs:
    """The verbs' functions."""

    def __init__(self, authenticator: Authenticator, accounts: Accounts, steps: SecondSteps) -> None:
        self._authenticator, self._accounts, self._steps = authenticator, accounts, steps
        self._tokens: Tokens = authenticator.tokens
        self._now = authenticator.now

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "app-password-add": Verb(Right.ACT, self._add, AddAppPassword),
            "app-password-list": Verb(Right.ACT, self._list, OfLogin),
            "app-password-revoke": Verb(Right.ACT, self._revoke, Revoke),
            "session-open": Verb(Right.ACT, self._open, OpenSession),
            "session-second-step": Verb(Right.ACT, self._second_step, SecondStep),
            "session-close": Verb(Right.ACT, self._close, CloseSession),
        }

    def _account(self, caller: Caller, login: str) -> Account:
        """The account, when the caller may speak for it: his own, or an administrator."""
        actor: Actor = self._accounts.actor(caller)
        if caller.claim is not None and caller.claim.token.startswith(PROGRAM):
            # it would outlive the token, and open what the token does not
            raise VerbError("app passwords are made and ended by people, not by tokens of programs", 5)
        account = self._accounts.account(login)
        if actor.account is not None and actor.account.id != account.id and not self._accounts.is_administrator(actor):
            raise VerbError("app passwords are made and ended by their owner or an administrator", 5)
        return account

    @staticmethod
    def _known(services: tuple[str, ...]) -> None:
        for service in services:
            if service not in WORDS["services"]:
                raise VerbError(f"{service!r} is no service; there is {', '.join(WORDS['services'])}", 2)

    def _make(self, kind: str, account: str, name: str, **more: Any) -> dict[str, Any]:
        mark = self._accounts.password_mark(account)
        try:
            token, secret = self._tokens.create(kind, account, name, now=self._now(), password=mark, **more)
        except ValueError as error:
            raise VerbError(str(error), 2) from None
        return {**_facts(token, mark), "password": secret}

    def _add(self, caller: Caller, wanted: AddAppPassword) -> dict[str, Any]:
        self._known(wanted.services)
        account = self._account(caller, wanted.login)
        expires = self._now() + wanted.seconds if wanted.seconds else None
        return self._make(
            APP, account.id, wanted.name, services=wanted.services, networks=wanted.networks, expires=expires
        )

    def _list(self, caller: Caller, wanted: OfLogin) -> list[dict[str, Any]]:
        account = self._account(caller, wanted.login)
        mark = self._accounts.password_mark(account.id)
        return [_facts(token, mark) for token in self._tokens.of(account.id, APP, self._now())]

    def _revoke(self, caller: Caller, wanted: Revoke) -> int:
        account = self._account(caller, wanted.login)
        if wanted.id == OLDER:
            mark = self._accounts.password_mark(account.id)
            return sum(
                self._tokens.revoke(account.id, APP, token.id)
                for token in self._tokens.of(account.id, APP, self._now())
                if token.is_older(mark)
            )
        ended = self._tokens.revoke(account.id, APP, None if wanted.id == "all" else wanted.id)
        if not ended and wanted.id != "all":
            raise VerbError(f"{wanted.login} has no app password {wanted.id}", 1)
        return ended

    def _open(self, caller: Caller, wanted: OpenSession) -> dict[str, Any]:
        actor = self._accounts.actor(caller, first_step=True)
        if actor.account is None or not actor.password:
            raise VerbError("a session is opened with login and password", 5)
        return self.open_proven(actor.account, wanted)

    def open_proven(self, account: Account | ServiceAccount, wanted: OpenSession) -> dict[str, Any]:
        """A session of somebody who has proven who he is; where he has a second factor, the ticket for that. Raises VerbError."""
        self._check(wanted)
        if isinstance(account, Account) and self._authenticator.factors.enrolled(account.id):
            return {"second_step": self._steps.begin(account)}
        return self._opened(account, wanted)

    def _second_step(self, caller: Caller, wanted: SecondStep) -> dict[str, Any]:
        self._check(wanted)
        return self._opened(self._steps.finish(wanted.ticket, wanted.code, wanted.passkey), wanted)

    def _check(self, wanted: OpenSession | SecondStep) -> None:
        self._known(wanted.services)
        if not 1 <= wanted.seconds <= LONGEST_SESSION:
            raise VerbError(f"a session lasts 1 to {LONGEST_SESSION:.0f} seconds", 2)

    def _opened(self, account: Account | ServiceAccount, wanted: OpenSession | SecondStep) -> dict[str, Any]:
        expires = self._now() + wanted.seconds
        return {
            **self._make(SESSION, account.id, wanted.name, services=wanted.services, expires=expires),
            "account": account.id,
            "login": account.logins[0] if account.logins else "",
        }

    def _close(self, caller: Caller, wanted: CloseSession) -> int:
        found = self._tokens.find(wanted.token, self._now())
        if found is None or found.kind != SESSION:
            return 0
        return self._tokens.revoke(found.account, SESSION, found.id)
