"""What workers ask the agent over its unix socket: one JSON object a line each way.

`Request` gets an `Answer` with its `id`, in any order. An answer with id 0 is about no request: with `flush`
the worker forgets the logins it remembers.
"""

from __future__ import annotations

import msgspec

from directory.model import Condition, Deferred, Refused
from directory.port import Login

MAX_LINE = 65536  # octets; login and password are at most 4.6 KiB before JSON


class Request(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A login to check."""

    id: int
    login: str
    password: str
    service: str
    address: str
    #: it came through the web front end of this host
    near: bool = False


class Answer(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Either account and method, or the condition that forbids it."""

    id: int
    account: str = ""
    method: str = ""
    #: unix time until which the worker may answer the same question itself; 0.0 = not at all
    until: float = 0.0
    condition: str = ""
    detail: str = ""
    flush: bool = False

    def result(self) -> Login:
        """The login, or raises what the agent raised."""
        if self.condition:
            condition = Condition[self.condition]
            raise (Deferred if condition.is_temporary else Refused)(condition, self.detail)
        return Login(self.account, self.method)
