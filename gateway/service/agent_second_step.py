"""The second step of signing in: the password was right, the account has a second factor, which is asked for now.

Between the steps the browser holds a ticket, which is good for nothing else: five minutes, five tries, one account.
Wrong second factors are counted by account: beyond the limit none is looked at for a while, right or wrong.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from directory.authenticator import Authenticator
from directory.model import Account
from directory.second_factor import PASSKEY, RECOVERY
from gateway.control.server import VerbError
from gateway.observe.log import fields
from gateway.service.agent_passkeys import NotGood, Passkeys

TICKET_SECONDS = 300.0
TRIES = 5
MAX_TICKETS = 5000
WRONG_SECONDS = 900.0
MAX_WRONG = 10  # of an account in that time
MAX_ACCOUNTS = 10_000
_log = logging.getLogger("gatepost.agent")


@dataclass(slots=True)
class Ticket:
    """Somebody between the steps; `until` is monotonic."""

    account: Account
    until: float
    asked: Any
    tries: int = 0


class SecondSteps:
    """Thread-safe; in memory: a restart of the agent sends people back to the first step."""

    def __init__(
        self, authenticator: Authenticator, passkeys: Passkeys, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._authenticator, self._passkeys, self._clock = authenticator, passkeys, clock
        self._lock = threading.Lock()
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def begin(self, account: Account) -> dict[str, Any]:
        """A ticket, and what may be shown: kinds of second factor, and what the browser is asked where a passkey is one."""
        held = self._authenticator.factors.of(account.id)
        passkeys = [factor for factor in held if factor.kind == PASSKEY]
        options, asked = self._passkeys.ask(passkeys) if passkeys and self._passkeys.host else (None, None)
        ticket, now = secrets.token_urlsafe(24), self._clock()
        with self._lock:
            while self._tickets and (
                len(self._tickets) >= MAX_TICKETS or next(iter(self._tickets.values())).until <= now
            ):
                self._tickets.popitem(last=False)
            self._tickets[ticket] = Ticket(account, now + TICKET_SECONDS, asked)
        return {"ticket": ticket, "kinds": sorted({factor.kind for factor in held}), "passkey": options}

    def finish(self, ticket: str, code: str, passkey: str) -> Account:
        """Whose ticket it is, when the second factor is right. Raises VerbError."""
        account, asked = self._take(ticket)
        now = self._authenticator.now()
        if passkey:
            kind = self._by_passkey(account, asked, passkey, now)
        else:
            kind = self._authenticator.factors.take_code(account.id, code, now)
        if not kind:
            self._note_wrong(account.id)
            _log.info("%s", fields(event="second-factor-wrong", login=_name(account)))
            raise VerbError("that code is not right, or was used before", 1)
        with self._lock:
            self._tickets.pop(ticket, None)
            self._wrong.pop(account.id, None)
        level = _log.warning if kind == RECOVERY else _log.info
        level("%s", fields(event="second-factor-right", login=_name(account), kind=kind))
        return account

    def _take(self, ticket: str) -> tuple[Account, Any]:
        now = self._clock()
        with self._lock:
            found = self._tickets.get(ticket)
            if found is None or found.until <= now or found.tries >= TRIES:
                self._tickets.pop(ticket, None)
                raise VerbError("that took too long or too many tries, sign in again", 5)
            found.tries += 1
            wrong = self._wrong.get(found.account.id, deque())
            while wrong and wrong[0] <= now - WRONG_SECONDS:
                wrong.popleft()
            if len(wrong) >= MAX_WRONG:
                raise VerbError("too many wrong codes; wait a quarter of an hour", 4)
            return found.account, found.asked

    def _note_wrong(self, account: str) -> None:
        with self._lock:
            self._wrong.setdefault(account, deque(maxlen=MAX_WRONG)).append(self._clock())
            self._wrong.move_to_end(account)
            if len(self._wrong) > MAX_ACCOUNTS:
                self._wrong.popitem(last=False)

    def _by_passkey(self, account: Account, asked: Any, answer: str, now: float) -> str:
        held = self._authenticator.factors.of(account.id, PASSKEY)
        if asked is None or not held:
            return ""
        try:
            factor, counter = self._passkeys.check(asked, held, answer)
        except NotGood as error:
            _log.info("%s", fields(event="passkey-not-good", login=_name(account), detail=str(error)[:200]))
            return ""
        return PASSKEY if self._authenticator.factors.used_passkey(factor, counter, now) else ""


def _name(account: Account) -> str:
    return account.logins[0] if account.logins else account.dn
