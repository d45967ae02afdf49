"""Asks the directory whether a password is right: simple binds on connections that do nothing else.

The server's whole policy stays in force, and its answer is read with its reason (password policy control of
draft-behera-ldap-password-policy-10; sub-codes of Active Directory). Trouble is Deferred, never "wrong".
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import ldap3

from directory.bind_exchange import exchange
from directory.connection import Servers, close
from directory.model import Condition, Deferred

POOL = 4
WAIT_SECONDS = 10.0  # for a free connection
PAUSE_SECONDS = 2.0  # a directory that did not answer is left alone for so long
FIRST_NUMBER, MAX_NUMBER = 1000, 0x3FFFFFFF  # of LDAP messages; ldap3 counts from 1 on the same connections
POLICY_CONTROL = "1.3.6.1.4.1.42.2.27.8.5.1"


class Verdict(Enum):
    """What a bind proved."""

    RIGHT = "right"
    WRONG = "wrong"  #: that password is wrong until the entry changes
    MUST_CHANGE = "must change"  #: right, and of no use before it is changed
    LOCKED = "locked"  #: says nothing about the password
    FORBIDDEN = "forbidden"  #: says nothing about the password


@dataclass(frozen=True, slots=True)
class BindAnswer:
    """`policy`: the server's password policy answered too. `detail` is for the log."""

    verdict: Verdict
    policy: bool
    detail: str


#: results (RFC 4511 appendix A) that are neither success nor trouble
_VERDICTS = {
    19: Verdict.LOCKED,  # constraintViolation: 389 DS, "Exceed password retry limit"
    48: Verdict.FORBIDDEN,  # inappropriateAuthentication: the entry has no password
    49: Verdict.WRONG,
    53: Verdict.FORBIDDEN,  # unwillingToPerform: 389 DS, "Account inactivated"
}
#: errors of the policy control: 0 passwordExpired and 2 changeAfterReset are told to the owner only
_POLICY_ERRORS = {0: Verdict.MUST_CHANGE, 1: Verdict.LOCKED, 2: Verdict.MUST_CHANGE}
#: Active Directory: `80090308: LdapErr: DSID-0C090446, comment: AcceptSecurityContext error, data 52e, v4563`
_AD_CODE = re.compile(r"\bdata ([0-9a-f]{3,4})\b")
_AD_CODES = {
    "530": Verdict.FORBIDDEN,  # not at this time
    "531": Verdict.FORBIDDEN,  # not at this workstation
    "532": Verdict.MUST_CHANGE,  # password expired
    "533": Verdict.FORBIDDEN,  # account disabled
    "701": Verdict.FORBIDDEN,  # account expired
    "773": Verdict.MUST_CHANGE,
    "775": Verdict.LOCKED,
}


def policy_error(value: bytes) -> int | None:
    """The error of a password policy control's value; None for none or one that cannot be read.

    `SEQUENCE { warning [0] ... OPTIONAL, error [1] ENUMERATED OPTIONAL }`
    """
    position, end = 2, len(value)
    if end < 2 or value[0] != 0x30 or value[1] > 0x7F:
        return None
    while position + 2 <= end:
        tag, length = value[position], value[position + 1]
        content = value[position + 2 : position + 2 + length]
        if length > 0x7F or len(content) != length:
            return None
        if tag == 0x81 and length == 1:
            return content[0]
        position += 2 + length
    return None


def verdict_of(result: dict[str, Any]) -> BindAnswer | None:
    """What a bind's result proves; None when it proves nothing because of trouble."""
    code, message = int(result["result"]), str(result.get("message") or "")
    control = (result.get("controls") or {}).get(POLICY_CONTROL)
    value = control.get("value") if control else None
    error = policy_error(bytes(value)) if value is not None else None
    detail = f"{code} {result.get('description', '')} {message}".strip()
    if error is not None:
        detail += f", password policy error {error}"
    verdict = Verdict.RIGHT if code == 0 else _VERDICTS.get(code)
    if verdict is None:
        return None
    if error in _POLICY_ERRORS:
        verdict = _POLICY_ERRORS[error]
    found = _AD_CODE.search(message)
    if code == 49 and found is not None:
        verdict = _AD_CODES.get(found[1], verdict)
    return BindAnswer(verdict, control is not None, detail)


class Binds(Protocol):
    """Proves passwords by the DN of an entry."""

    def bind(self, dn: str, password: str) -> BindAnswer:
        """What a bind as `dn` proves. Raises Deferred when there is no answer."""
        ...

    def close(self) -> None: ...


class BindPool:
    """At most POOL binds at a time. Thread-safe; blocks."""

    def __init__(self, servers: Servers, clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = servers
        self._clock = clock
        self._idle: list[ldap3.Connection] = []
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(POOL)
        self._number = FIRST_NUMBER
        self._down_until = 0.0
        self._why = ""

    def bind(self, dn: str, password: str) -> BindAnswer:
        """Bind as `dn`. Raises Deferred when no server gives an answer."""
        if self._clock() < self._down_until:
            raise self._trouble(self._why)
        if not self._slots.acquire(timeout=WAIT_SECONDS):
            raise self._trouble("all bind connections are busy")
        try:
            return self._bind(dn, password)
        finally:
            self._slots.release()

    @staticmethod
    def _trouble(detail: str) -> Deferred:
        return Deferred(Condition.AUTHENTICATION_UNAVAILABLE, detail)

    def _down(self, detail: str) -> Deferred:
        self._why, self._down_until = detail, self._clock() + PAUSE_SECONDS
        return self._trouble(detail)

    def _connection(self) -> tuple[ldap3.Connection, bool]:
        """A connection, and whether it was used before. Raises Deferred."""
        with self._lock:
            if self._idle:
                return self._idle.pop(), True
        try:
            return self._servers.open(bind=False), False
        except Deferred as error:
            raise self._down(error.detail) from error

    def _bind(self, dn: str, password: str) -> BindAnswer:
        while True:  # idle connections may all have died with the server: at last a new one
            connection, used = self._connection()
            self._number = self._number % MAX_NUMBER + 1
            try:
                result = exchange(
                    connection.socket, self._number, dn, password.encode(), POLICY_CONTROL, self._servers.op_seconds
                )
            except OSError as error:
                close(connection)
                if used:
                    continue
                raise self._down(f"bind: {error}") from error
            answer = verdict_of(result)
            if answer is None:
                close(connection)  # busy, unavailable: another server may do better
                raise self._trouble(f"bind: {result['result']} {result['description']} {result.get('message', '')}")
            with self._lock:
                self._idle.append(connection)
            return answer

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            close(connection)
