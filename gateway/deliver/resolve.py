"""The port through which couriers and checks ask the DNS, and what it answers.

"There is no such name" is believed only of a name server that works (RFC 2308: it names the zone); whatever else
goes wrong is Deferred, so that trouble with the DNS never bounces a message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

Kind = Literal["A", "AAAA", "MX", "TXT", "TLSA", "PTR", "NS", "SRV"]


class Mx(NamedTuple):
    """One MX record. `host` is in lower case without the final dot; "" is the null MX (RFC 7505)."""

    preference: int
    host: str


class Tlsa(NamedTuple):
    """One TLSA record (RFC 6698 2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


class Srv(NamedTuple):
    """One SRV record (RFC 2782); `host` as in `Mx`."""

    priority: int
    weight: int
    port: int
    host: str


@dataclass(frozen=True, slots=True)
class Records:
    """The answer to one question.

    `values` are Mx, Srv, Tlsa, bytes (TXT, its strings joined) or text (addresses, names). `name` is what the name stood
    for at the end of its aliases. `exists` is False where the name itself is proven absent. `is_secure`: a resolver
    that we trust has validated the answer, aliases included (DNSSEC).
    """

    values: tuple[Any, ...]
    name: str
    exists: bool = True
    is_secure: bool = False


class Resolve(Protocol):
    """Asks the DNS."""

    async def ask(self, name: str, kind: Kind) -> Records:
        """The records of `name` (A-labels). Raises Deferred (DNS_UNAVAILABLE) for every trouble."""
        ...

    async def addresses(self, name: str, families: tuple[str, ...] = ("ipv6", "ipv4")) -> Records:
        """Addresses of a host in the order of `families`; literals, /etc/hosts and localhost are known too.

        Raises Deferred where nothing was found and one family could not be asked.
        """
        ...
