"""How a protocol core asks for effects: it yields `Ask(request)` and receives the answer.

A command is a generator. It yields octets to send and `Ask` values; the driver in `service/` writes
the octets, executes the request and sends the answer back, or throws `Deferred` or `Refused` in.
A core therefore reads no clock, file or socket and can be driven byte by byte in a test.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias


class Ask:
    """A request for the driver; `request` is one of the protocol's request values."""

    __slots__ = ("request",)

    def __init__(self, request: object) -> None:
        self.request = request


#: what a command is: yields octets or Ask, receives answers, returns what its protocol defines
Dialogue: TypeAlias = Generator["bytes | Ask", Any, Any]
