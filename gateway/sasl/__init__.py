"""Server side of SASL mechanisms (RFC 4422): generators of challenges that end in what the client claims.

`MECHANISMS` is the table: one file a mechanism, each a function that returns a generator. It yields
challenges, is sent responses, and returns `Credentials`; whether they hold is somebody else's question.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from gateway.sasl.credentials import Credentials, Exchange, SaslProblem
from gateway.sasl.login import login
from gateway.sasl.plain import plain

__all__ = ["MECHANISMS", "Credentials", "Exchange", "SaslProblem", "Steps", "decode", "encode", "start"]

MECHANISMS: dict[str, Callable[[], Exchange]] = {"PLAIN": plain, "LOGIN": login}


class Steps:
    """One authentication under way: challenges out, responses in, at the end `credentials`."""

    __slots__ = ("_exchange", "challenge", "credentials")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.challenge = next(exchange)
        self.credentials: Credentials | None = None

    def respond(self, response: bytes) -> None:
        """Go on: afterwards either `credentials` is set or `challenge` is the next one. Raises SaslProblem."""
        try:
            self.challenge = self._exchange.send(response)
        except StopIteration as end:
            self.credentials = end.value


def start(mechanism: str) -> Steps | None:
    """Begin `mechanism` (any case), None when there is no such."""
    make = MECHANISMS.get(mechanism.upper())
    return None if make is None else Steps(make())


def decode(text: bytes) -> bytes:
    """A base64 response as octets; `=` is an empty one (RFC 4954 4). Raises SaslProblem."""
    if text == b"=":
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SaslProblem("not base64") from None


def encode(challenge: bytes) -> str:
    """A challenge as base64."""
    return base64.b64encode(challenge).decode("ascii")
