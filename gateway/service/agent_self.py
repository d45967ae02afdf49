"""Control verbs for what only the person himself sees: his web sessions, where he logged in from, what a password must be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import msgspec

from directory.authenticator import Authenticator
from directory.authenticator_tokens import PROGRAM, SESSION
from directory.model import Account, Deferred
from directory.password_policy import PasswordPolicy, Policies
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.agent_accounts import Accounts

KEPT_SECONDS = 60.0  # a policy is asked for once in that time
OTHERS = "others"


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing is asked: the claim says whose."""


class EndSession(msgspec.Struct, forbid_unknown_fields=True):
    """One by its id, or `others`: all but the one that asks."""

    id: str


class SelfVerbs:
    """The verbs' functions."""

    def __init__(
        self,
        accounts: Accounts,
        authenticator: Authenticator,
        policies: Policies | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`policies` None: the directory is a file and has none."""
        self._accounts, self._authenticator, self._policies = accounts, authenticator, policies
        self._clock = clock
        self._lock = threading.Lock()
        #: by account
        self._kept: dict[str, tuple[float, PasswordPolicy | None]] = {}

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "session-list": Verb(Right.ACT, self._sessions, Nothing),
            "session-end": Verb(Right.ACT, self._end, EndSession),
            "own-logins": Verb(Right.ACT, self._logins, Nothing),
            "password-policy": Verb(Right.ACT, self._policy, Nothing),
        }

    def _account(self, caller: Caller, *, may_have_to_change: bool = False) -> Account:
        account = self._accounts.actor(caller, may_have_to_change=may_have_to_change).account
        if not isinstance(account, Account):
            raise VerbError("that is asked by people who are logged in", 2)
        return account

    def _own_session(self, caller: Caller) -> str:
        """The id of the session that asks, "" = it is none."""
        token = caller.claim.token if caller.claim is not None else ""
        found = self._authenticator.tokens.find(token, self._authenticator.now()) if token else None
        return found.id if found is not None else ""

    def _sessions(self, caller: Caller, _: Nothing) -> list[dict[str, Any]]:
        account, own = self._account(caller), self._own_session(caller)
        now = self._authenticator.now()
        self._authenticator.tokens.end_older_sessions(account.id, self._accounts.password_mark(account.id))
        return [
            {
                "id": token.id,
                "name": token.name,
                "created": token.created,
                "expires": token.expires,
                "used": token.used,
                "is_this": token.id == own,
            }
            for token in reversed(self._authenticator.tokens.of(account.id, SESSION, now))
        ]

    def _end(self, caller: Caller, wanted: EndSession) -> int:
        if caller.claim is not None and caller.claim.token.startswith(PROGRAM):
            raise VerbError("sessions are ended by people, not by tokens of programs", 5)
        account, own = self._account(caller), self._own_session(caller)
        tokens = self._authenticator.tokens
        if wanted.id == OTHERS:
            found = tokens.of(account.id, SESSION, self._authenticator.now())
            return sum(tokens.revoke(account.id, SESSION, token.id) for token in found if token.id != own)
        ended = tokens.revoke(account.id, SESSION, wanted.id)
        if not ended:
            raise VerbError("there is no such session of yours, or it has ended", 1)
        return ended

    def _logins(self, caller: Caller, _: Nothing) -> dict[str, Any]:
        account = self._account(caller)
        memory, now = self._authenticator.memory, self._authenticator.now()
        return {
            "places": [{"source": source, "at": at} for source, at in memory.places(account.id, now)],
            "wrong": [failed.at for failed in memory.remembered(account.id, now)],
        }

    def _policy(self, caller: Caller, _: Nothing) -> dict[str, Any] | None:
        """None when it is not known; the directory has the last word in any case."""
        account = self._account(caller, may_have_to_change=True)  # it is shown to him first
        if self._policies is None:
            return None
        now = self._clock()
        with self._lock:
            kept = self._kept.get(account.id)
            if kept is None or now - kept[0] > KEPT_SECONDS:
                try:
                    policy = self._policies.of(account.dn)
                except Deferred:
                    return None
                if len(self._kept) > 1000:
                    self._kept.clear()
                kept = self._kept[account.id] = (now, policy)
        return asdict(kept[1]) if kept[1] is not None else None
