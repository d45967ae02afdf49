"""What couriers are given and what they promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from directory.model import Deferred, Refused

#: None = the next host took responsibility
Outcome: TypeAlias = Deferred | Refused | None


class Stream(Protocol):
    """A connection. Raises OSError (TimeoutError too) for every trouble."""

    async def read_line(self, seconds: float) -> bytes:
        """The next line with its end; b"" at the end of the stream."""
        ...

    async def write(self, data: bytes, seconds: float) -> None: ...

    def close(self) -> None: ...


class Dial(Protocol):
    """Opens connections. Raises OSError."""

    async def __call__(self, host: str, port: int, seconds: float) -> Stream: ...


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message for several recipients with one return path. `content` gives it from the beginning."""

    return_path: str
    recipients: tuple[str, ...]
    content: Callable[[], Iterator[bytes]]
    crlf: int


class Courier(Protocol):
    """One way of delivery. Never raises for trouble with the way: that is an outcome."""

    async def deliver(self, parcel: Parcel) -> list[Outcome]: ...
