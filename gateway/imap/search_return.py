"""RETURN of SEARCH and SORT: which of the results to name, and whether to keep them.

MIN, MAX, ALL, COUNT (RFC 4731), SAVE (RFC 5182), PARTIAL (RFC 9394), in the order of SORT too (RFC 5267 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.imap.parser import BadCommand, Parser
from gateway.imap.registry import announce
from gateway.imap.sets import set_of

_OPTIONS = (b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE")

announce("SEARCHRES")
announce("PARTIAL")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the results by their place, from 1; from the end where the numbers are negative (RFC 9394 3.1)."""

    first: int
    last: int

    def of(self, results: Sequence[int]) -> Sequence[int]:
        """The results in this part, in their order."""
        low, high = sorted((self.first, self.last))
        if low < 0:
            count = len(results)
            return results[max(count + low, 0) : max(count + high + 1, 0)]
        return results[low - 1 : high]

    def __str__(self) -> str:
        return f"{self.first}:{self.last}"


def read_part(arguments: Parser) -> Part:
    """`1:100` or `-1:-100`. Raises BadCommand."""
    numbers = []
    for between in (b"", b":"):
        arguments.expect(between)
        is_negative = arguments.at(b"-")
        number = arguments.number()
        if not number:
            raise BadCommand("0 is no place")
        numbers.append(-number if is_negative else number)
    if (numbers[0] < 0) != (numbers[1] < 0):
        raise BadCommand("both ends are counted from the beginning, or both from the end")
    return Part(*numbers)


@dataclass(frozen=True, slots=True)
class Wish:
    """What RETURN asks for; `results` are in the order of the answer."""

    options: frozenset[bytes]
    part: Part | None = None
    #: the client is told how they change (RFC 5267 4.3)
    is_updated: bool = False

    @property
    def is_kept(self) -> bool:
        """The results are what `$` stands for from now on."""
        return b"SAVE" in self.options

    def named(self, results: Sequence[int]) -> Sequence[int]:
        """The results that the answer is about: all that it counts, or those that it names."""
        if self.options & {b"ALL", b"COUNT"} or self.options == {b"SAVE"}:
            return results
        ends = [*results[:1]] * (b"MIN" in self.options) + [*results[-1:]] * (b"MAX" in self.options)
        return sorted({*ends, *(self.part.of(results) if self.part is not None else ())})

    def kept(self, results: Sequence[int]) -> Sequence[int]:
        """What SAVE keeps: all, or the ends where only they are asked for (RFC 5182 2.4; RFC 9394 3.2)."""
        return sorted(self.named(results))

    def told(
        self, tag: bytes, results: Sequence[int], modseq: int, *, by_uid: bool, place: bytes = b""
    ) -> Iterator[bytes]:
        """The answer (RFC 4731 3.1); none when the results are only kept. `place` tells the mailbox (RFC 7377 2.1)."""
        if self.options == {b"SAVE"}:
            return
        correlator = b'TAG "%b"' % tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        said = [b"* ESEARCH (%b)" % (correlator + b" " + place if place else correlator)]
        if by_uid:
            said.append(b"UID")
        if results and b"MIN" in self.options:
            said.append(b"MIN %d" % results[0])
        if results and b"MAX" in self.options:
            said.append(b"MAX %d" % results[-1])
        if results and b"ALL" in self.options:
            said.append(b"ALL " + set_of(results).encode())
        if self.part is not None:
            named = set_of(self.part.of(results)) or "NIL"
            said.append(f"PARTIAL ({self.part} {named})".encode())
        if b"COUNT" in self.options:
            said.append(b"COUNT %d" % len(results))
        if modseq:
            said.append(b"MODSEQ %d" % modseq)
        yield b" ".join(said) + b"\r\n"


ALL = Wish(frozenset((b"ALL",)))


def read_wish(arguments: Parser) -> Wish | None:
    """RETURN and its options, past the space behind; None where there is no RETURN. Raises BadCommand."""
    if not arguments.at(b"RETURN ("):
        return None
    options: set[bytes] = set()
    hints: set[bytes] = set()
    part = None
    while not arguments.at(b")"):
        if options or hints:
            arguments.space()
        option = arguments.atom().upper()
        if option == b"PARTIAL" and part is None:
            arguments.space()
            part = read_part(arguments)
        elif option in (b"UPDATE", b"CONTEXT"):
            hints.add(option)  # CONTEXT promises nothing (RFC 5267 4.2)
            continue
        elif option not in _OPTIONS:
            raise BadCommand("unknown search result option")
        options.add(option)
    if part is not None and b"ALL" in options:
        raise BadCommand("ALL and PARTIAL exclude each other")  # RFC 9394 3.1
    arguments.space()
    return Wish(frozenset(options or (b"ALL",)), part, b"UPDATE" in hints)
