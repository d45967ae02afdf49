"""Control verbs for second factors: enrol, look, remove, new recovery codes, reset by the help desk.

Who enrols or removes one types his password again: a browser that was left open is not enough. A reset takes all of them
and ends the sessions; it stands in the journal of changes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pyotp

from directory.authenticator import Authenticator
from directory.authenticator_tokens import SESSION
from directory.model import Account
from directory.rights import PASSWORD, Actor
from directory.second_factor import PASSKEY, RECOVERY, TOTP, Factor, matching_step, new_key
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.observe.log import fields
from gateway.service.agent_accounts import Accounts
from gateway.service.agent_passkeys import NotGood, Passkeys

PENDING_SECONDS = 900.0
MAX_PENDING = 5000
ISSUER = "Gatepost"
Text = Annotated[str, msgspec.Meta(max_length=20_000)]
_log = logging.getLogger("gatepost.agent")


class OfLogin(msgspec.Struct, forbid_unknown_fields=True):
    """Whose."""

    login: str


class Begin(msgspec.Struct, forbid_unknown_fields=True):
    """Enrol one for whoever the claim proves; the password again."""

    kind: Literal["totp", "passkey"]
    password: str

    def __repr__(self) -> str:
        return f"Begin({self.kind})"


class Finish(msgspec.Struct, forbid_unknown_fields=True):
    """What proves that it works: a code, or what the browser made."""

    kind: Literal["totp", "passkey"]
    name: str
    code: Text = ""
    passkey: Text = ""


class Remove(msgspec.Struct, forbid_unknown_fields=True):
    """One of one's own, by its id; the password again."""

    id: str
    password: str

    def __repr__(self) -> str:
        return f"Remove({self.id})"


class Codes(msgspec.Struct, forbid_unknown_fields=True):
    """New recovery codes; the password again."""

    password: str

    def __repr__(self) -> str:
        return "Codes()"


@dataclass(slots=True)
class _Pending:
    until: float
    key: str = ""
    asked: Any = None


class SecondFactors:
    """The verbs' functions."""

    def __init__(
        self,
        authenticator: Authenticator,
        accounts: Accounts,
        passkeys: Passkeys,
        forget_logins: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authenticator, self._accounts, self._passkeys = authenticator, accounts, passkeys
        self._forget_logins, self._clock = forget_logins, clock
        self._lock = threading.Lock()
        #: (account, kind) -> what its owner was asked to enter or make
        self._pending: OrderedDict[tuple[str, str], _Pending] = OrderedDict()

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "second-factor-list": Verb(Right.ACT, self._list, OfLogin),
            "second-factor-begin": Verb(Right.ACT, self._begin, Begin),
            "second-factor-finish": Verb(Right.ACT, self._finish, Finish),
            "second-factor-remove": Verb(Right.ACT, self._remove, Remove),
            "second-factor-codes": Verb(Right.ACT, self._codes, Codes),
            "second-factor-reset": Verb(Right.ACT, self._reset, OfLogin),
        }

    # -- who ---------------------------------------------------------------------------------------------------

    def _own(self, caller: Caller) -> Account:
        account = self._accounts.actor(caller).account
        if not isinstance(account, Account):
            raise VerbError("second factors are enrolled and removed by their owner", 5)
        return account

    def _again(self, caller: Caller, password: str) -> Account:
        """The owner, who has typed his password again. Raises VerbError."""
        account = self._own(caller)
        address = caller.claim.address if caller.claim is not None else ""
        self._accounts.prove_again(account, password, address)
        return account

    def _others(self, caller: Caller, login: str) -> tuple[Actor, Account]:
        """Who asks, and the account whose password he may set. Raises VerbError."""
        actor, account = self._accounts.actor(caller), self._accounts.account(login)
        with self._accounts.looking() as port:
            why = port.rights.refusal(actor, account, {PASSWORD}, kind=Account, addresses=account.addresses)
        if why:
            raise VerbError(why, 5)
        return actor, account

    # -- verbs -------------------------------------------------------------------------------------------------

    def _list(self, caller: Caller, wanted: OfLogin) -> dict[str, Any]:
        _, account = self._others(caller, wanted.login)  # everybody may set his own
        return self._told(account)

    def _told(self, account: Account) -> dict[str, Any]:
        held = self._authenticator.factors.of(account.id)
        return {
            "factors": [_facts(factor) for factor in held if factor.kind != RECOVERY],
            "codes_left": sum(factor.kind == RECOVERY for factor in held),
            "passkeys_possible": bool(self._passkeys.host),
        }

    def _begin(self, caller: Caller, wanted: Begin) -> dict[str, Any]:
        account = self._again(caller, wanted.password)
        login = account.logins[0] if account.logins else account.primary or account.dn
        pending = _Pending(self._clock() + PENDING_SECONDS)
        if wanted.kind == TOTP:
            pending.key = new_key()
            uri = pyotp.TOTP(pending.key).provisioning_uri(name=account.primary or login, issuer_name=ISSUER)
            answer: dict[str, Any] = {"key": pending.key, "uri": uri}
        else:
            if not self._passkeys.host:
                raise VerbError("passkeys need web.url, which an administrator sets", 1)
            held = self._authenticator.factors.of(account.id, PASSKEY)
            name = str(getattr(account, "display_name", None) or login)
            options, pending.asked = self._passkeys.begin(account.id, login, name, held)
            answer = {"options": options}
        with self._lock:
            self._pending[account.id, wanted.kind] = pending
            self._pending.move_to_end((account.id, wanted.kind))
            if len(self._pending) > MAX_PENDING:
                self._pending.popitem(last=False)
        return answer

    def _finish(self, caller: Caller, wanted: Finish) -> dict[str, Any]:
        account = self._own(caller)
        with self._lock:
            pending = self._pending.get((account.id, wanted.kind))
        if pending is None or pending.until < self._clock():
            raise VerbError("that took too long, begin again", 1)
        now = self._authenticator.now()
        if wanted.kind == TOTP:
            counter = matching_step(pending.key, wanted.code, now)
            if counter is None:
                raise VerbError("that code is not right: is the clock of the device right?", 1)
            secret = pending.key.encode()
        else:
            try:
                secret, counter = self._passkeys.finish(pending.asked, wanted.passkey)
            except NotGood as error:
                raise VerbError(f"the browser's answer is not good: {error}", 1) from None
        first = not self._authenticator.factors.enrolled(account.id)
        try:
            self._authenticator.factors.add(account.id, wanted.kind, wanted.name, secret, counter, now)
        except ValueError as error:
            raise VerbError(str(error), 1) from None
        with self._lock:
            self._pending.pop((account.id, wanted.kind), None)
        if first:
            self._forget_logins()  # the password alone is not enough from now on
        self._note(Actor(account.dn, account), account, "second-factor enrol", wanted.kind)
        codes = self._authenticator.factors.recovery_codes(account.id, now) if first else []
        return {**self._told(account), "codes": codes}

    def _remove(self, caller: Caller, wanted: Remove) -> dict[str, Any]:
        account = self._again(caller, wanted.password)
        if not self._authenticator.factors.remove(account.id, wanted.id):
            raise VerbError("there is no such second factor", 1)
        self._note(Actor(account.dn, account), account, "second-factor remove", wanted.id)
        return self._told(account)

    def _codes(self, caller: Caller, wanted: Codes) -> dict[str, Any]:
        account = self._again(caller, wanted.password)
        if not self._authenticator.factors.enrolled(account.id):
            raise VerbError("recovery codes stand in for a second factor; enrol one first", 1)
        codes = self._authenticator.factors.recovery_codes(account.id, self._authenticator.now())
        self._note(Actor(account.dn, account), account, "second-factor codes", "")
        return {**self._told(account), "codes": codes}

    def _reset(self, caller: Caller, wanted: OfLogin) -> dict[str, Any]:
        actor, account = self._others(caller, wanted.login)
        if actor.account is not None and actor.account.id == account.id:
            raise VerbError("your own second factors you remove one by one, with your password", 5)
        gone = self._authenticator.factors.remove(account.id)
        ended = self._authenticator.tokens.revoke(account.id, SESSION)
        self._note(actor, account, "second-factor reset", "all")
        return {"removed": gone, "sessions_ended": ended}

    def _note(self, actor: Actor, account: Account, verb: str, what: str) -> None:
        with self._accounts.looking() as port:
            number = port.journal.begin(
                self._authenticator.now(), actor.name, verb, account.id, account.dn, {"second_factor": what}, None
            )
            port.journal.end(number, "done")
        _log.info("%s", fields(event="changed", verb=verb, actor=actor.name, dn=account.dn, change=number))


def _facts(factor: Factor) -> dict[str, Any]:
    return {
        "id": factor.id,
        "kind": factor.kind,
        "name": factor.name,
        "created": factor.created,
        "used": factor.used,
    }
