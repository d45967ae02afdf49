"""Control verbs for what a person chose in the web front end: his signature, how long a message can be taken back.

They are his alone: nobody else reads or sets them, administrators included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

from directory.model import Account
from directory.rights import READS_ONLY
from directory.state import State
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.agent_accounts import Accounts

MAX_VALUE = 10_000  # characters
MAX_PREFERENCES = 50  # of an account
_NAME = re.compile(r"[a-z][a-z_]{0,39}\Z")


class Preferences(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing is asked: the claim says whose."""


class SetPreferences(msgspec.Struct, forbid_unknown_fields=True):
    """New values; "" takes one away."""

    values: dict[str, Annotated[str, msgspec.Meta(max_length=MAX_VALUE)]]


class PreferenceVerbs:
    """The verbs' functions."""

    def __init__(self, state: State, accounts: Accounts) -> None:
        self._state, self._accounts = state, accounts

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "preferences": Verb(Right.ACT, self._all, Preferences),
            "preferences-set": Verb(Right.ACT, self._set, SetPreferences),
        }

    def _account(self, caller: Caller, *, to_change: bool = False) -> str:
        actor = self._accounts.actor(caller)
        account = actor.account
        if to_change and actor.reads_only:
            raise VerbError(READS_ONLY, 5)
        if not isinstance(account, Account):
            raise VerbError("that is asked by people who are logged in", 2)
        return account.id

    def _all(self, caller: Caller, _: Preferences) -> dict[str, str]:
        account = self._account(caller)
        self._state.check()
        return dict(self._state.rows("SELECT name, value FROM preference WHERE account=? ORDER BY name", (account,)))

    def _set(self, caller: Caller, wanted: SetPreferences) -> dict[str, str]:
        account = self._account(caller, to_change=True)
        for name in wanted.values:
            if _NAME.match(name) is None:
                raise VerbError(f"{name[:50]!r} is no name of a preference", 2)
        self._state.check()
        with self._state.transaction() as db:
            for name, value in wanted.values.items():
                if value:
                    db.execute("INSERT OR REPLACE INTO preference VALUES (?,?,?)", (account, name, value))
                else:
                    db.execute("DELETE FROM preference WHERE account=? AND name=?", (account, name))
            held = db.execute("SELECT count(*) FROM preference WHERE account=?", (account,)).fetchone()[0]
            if held > MAX_PREFERENCES:
                raise VerbError(f"{MAX_PREFERENCES} preferences are kept at most", 2)
        return self._all(caller, Preferences())
