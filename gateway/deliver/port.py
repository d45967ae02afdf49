"""What couriers are given and what they promise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from directory.model import Deferred, Refused
from gateway.deliver.resolve import Tlsa


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody took responsibility. `host` "" is a store of ours; `dsn`: the host sends the reports that the
    sender asked for (RFC 3461), it was given the parameters."""

    host: str = ""
    reply: str = ""
    dsn: bool = False


Outcome: TypeAlias = Deferred | Refused | Taken


@dataclass(frozen=True, slots=True)
class Addressee:
    """One recipient of a parcel. `notify` holds NEVER, SUCCESS, FAILURE, DELAY, empty = not given; `orcpt` is
    ORCPT's value as it came (RFC 3461)."""

    address: str
    notify: frozenset[str] = frozenset()
    orcpt: str = ""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message for several recipients with one return path.

    `content` gives it from the beginning, with LF line ends; `size` counts it so, `crlf` as it is sent.
    `parameters` are RET, ENVID, BODY, SMTPUTF8, REQUIRETLS as MAIL had them, and XJOURNALLED. `in_7bit` gives it whole
    in 7-bit lines of at most 998 octets, with signatures of ours that hold for this form; it raises Refused where it cannot be had so.
    """

    id: str
    return_path: str
    recipients: tuple[Addressee, ...]
    content: Callable[[], Iterator[bytes]]
    size: int
    crlf: int
    in_7bit: Callable[[], Awaitable[bytes]]
    parameters: Mapping[str, str] = field(default_factory=dict)


class Courier(Protocol):
    """One way of delivery. Never raises for trouble with the way: that is an outcome."""

    async def deliver(self, parcel: Parcel) -> list[Outcome]:
        """One outcome for each recipient, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class TlsWish:
    """How to protect a connection: `name` is told to the peer (SNI); with `verify` its certificate must be for
    that name and from an authority we know; with `tlsa` it must match one of these records instead (RFC 7672)."""

    name: str
    verify: bool = False
    tlsa: tuple[Tlsa, ...] = ()


class Stream(Protocol):
    """A connection. Raises OSError (TimeoutError too) for every trouble."""

    @property
    def is_open(self) -> bool:
        """False once either side has ended it."""
        ...

    @property
    def tls(self) -> str:
        """Version and cipher, "" in the clear."""
        ...

    async def read_line(self, seconds: float) -> bytes:
        """The next line with its end; what there is of it at the end of the stream."""
        ...

    async def read(self, size: int, seconds: float) -> bytes:
        """What there is, at least one octet and at most `size`; b"" at the end of the stream."""
        ...

    async def write(self, data: bytes, seconds: float) -> None: ...

    async def start_tls(self, wish: TlsWish, seconds: float) -> None:
        """Everything from here on is TLS. Raises OSError where the wish is not met."""
        ...

    def close(self) -> None: ...


class Dial(Protocol):
    """Opens connections. Raises OSError."""

    async def __call__(self, address: str, port: int, seconds: float, source: str = "") -> Stream:
        """To an IP address, from the address `source` of this host."""
        ...
