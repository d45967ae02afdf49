"""What an exchange ends in, and how it fails."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeAlias


class SaslProblem(ValueError):
    """The response does not follow the mechanism; the message is for the client and holds no input."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who the client says it is. The password is not shown in a `repr`."""

    login: str
    password: str = field(repr=False)
    #: the identity to act as (RFC 4422 2), "" = the login's own
    authorization: str = ""


#: yields challenges, receives responses, returns Credentials
Exchange: TypeAlias = Generator[bytes, bytes, Credentials]

MAX_NAME = 512  # octets of a login or authorization name
MAX_PASSWORD = 4096  # octets; also keeps a session token well inside the line limit


def text(octets: bytes, limit: int) -> str:
    """`octets` as UTF-8 text without NUL. Raises SaslProblem."""
    if len(octets) > limit:
        raise SaslProblem("too long")
    try:
        decoded = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise SaslProblem("not UTF-8") from None
    if "\0" in decoded:
        raise SaslProblem("NUL in a response")
    return decoded
