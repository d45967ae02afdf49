"""Control verbs for the tokens of programs (`gpk_…`), which the JSON interface takes: each acts for one person, with an end,
for reading or for changing too, from where it is allowed to come.

An app password is for reading and sending mail, a token of a program for what its owner may administer, never the
other way round. Only a person who just proved himself by password or session makes one, never another token.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec

from directory.authenticator_tokens import PROGRAM, READ_ONLY, Token, Tokens
from directory.model import Account
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.agent_accounts import Accounts

DAY = 86_400.0
LONGEST = 366 * DAY


class AddToken(msgspec.Struct, forbid_unknown_fields=True):
    """A token for `login`; `scope` write includes read."""

    login: str
    name: str
    scope: Literal["read", "write"] = "read"
    networks: tuple[str, ...] = ()
    seconds: Annotated[float, msgspec.Meta(ge=60, le=LONGEST)] = 90 * DAY


class OfLogin(msgspec.Struct, forbid_unknown_fields=True):
    """Whose."""

    login: str


class Revoke(msgspec.Struct, forbid_unknown_fields=True):
    """One by its id, or `all`."""

    login: str
    id: str


class NoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of verbs that need none."""


def _facts(token: Token, mark: str) -> dict[str, Any]:
    """`is_older`: than the account's password, whose mark is `mark`."""
    hidden = ("kind", "account", "services", "password")
    shown = {name: value for name, value in asdict(token).items() if name not in hidden}
    return {**shown, "is_older": token.is_older(mark), "scope": "read" if READ_ONLY in token.services else "write"}


class ProgramTokens:
    """The verbs' functions."""

    def __init__(self, tokens: Tokens, accounts: Accounts, now: Any) -> None:
        self._tokens, self._accounts, self._now = tokens, accounts, now

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "program-token": Verb(Right.ACT, self._scope, NoArguments),
            "program-token-add": Verb(Right.ACT, self._add, AddToken),
            "program-token-list": Verb(Right.ACT, self._list, OfLogin),
            "program-token-revoke": Verb(Right.ACT, self._revoke, Revoke),
        }

    def _account(self, caller: Caller, login: str) -> Account:
        """The account, when the caller is its owner or an administrator, and no program."""
        actor = self._accounts.actor(caller)
        if caller.claim is not None and caller.claim.token.startswith(PROGRAM):
            raise VerbError("tokens are made and ended by people, not by other tokens", 5)
        account = self._accounts.account(login)
        if actor.account is not None and actor.account.id != account.id and not self._accounts.is_administrator(actor):
            raise VerbError("tokens are made and ended by their owner or an administrator", 5)
        return account

    def _scope(self, caller: Caller, _: NoArguments) -> dict[str, Any]:
        actor = self._accounts.actor(caller)
        if caller.claim is None or actor.account is None:
            raise VerbError("that is asked with a token", 2)
        login = actor.account.logins[0] if actor.account.logins else ""
        return {"account": actor.account.id, "login": login, "scope": "read" if actor.reads_only else "write"}

    def _add(self, caller: Caller, wanted: AddToken) -> dict[str, Any]:
        account = self._account(caller, wanted.login)
        mark = self._accounts.password_mark(account.id)
        services = ("selfservice", READ_ONLY) if wanted.scope == "read" else ("selfservice",)
        try:
            token, secret = self._tokens.create(
                PROGRAM, account.id, wanted.name, now=self._now(), services=services, networks=wanted.networks,
                expires=self._now() + wanted.seconds, password=mark,
            )  # fmt: skip
        except ValueError as error:
            raise VerbError(str(error), 2) from None
        return {**_facts(token, mark), "token": secret}

    def _list(self, caller: Caller, wanted: OfLogin) -> list[dict[str, Any]]:
        account = self._account(caller, wanted.login)
        mark = self._accounts.password_mark(account.id)
        return [_facts(token, mark) for token in self._tokens.of(account.id, PROGRAM, self._now())]

    def _revoke(self, caller: Caller, wanted: Revoke) -> int:
        account = self._account(caller, wanted.login)
        ended = self._tokens.revoke(account.id, PROGRAM, None if wanted.id == "all" else wanted.id)
        if not ended and wanted.id != "all":
            raise VerbError(f"{wanted.login} has no token {wanted.id}", 1)
        return ended
