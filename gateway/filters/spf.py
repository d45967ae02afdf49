"""SPF (RFC 7208) by pyspf, without its way of asking the DNS: that one would block.

A record is evaluated as far as the answers go that are there; what is missing is asked for, and it is evaluated again
from the beginning. That costs a tenth of a millisecond a time, and no thread waits for a name server of somebody else's.
The limits of RFC 7208 4.6.4 (10 terms, 10 exchanges and names each, 2 void look-ups) bound it; a record that takes long
in spite of them is evaluated on a thread, where it keeps no other session waiting.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, SupportsIndex

import spf

from directory.model import Deferred, InvalidAddress, canonical_address, canonical_domain
from gateway.deliver.resolve import Kind, Records, Resolve
from gateway.filters.port import Away

Outcome = Literal["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"]
Identity = Literal["mailfrom", "helo"]
#: 10 terms of one question, or of 1 + 10, and the record of the sender; more are a bug of ours
MAX_ROUNDS = 40
MAX_QUESTIONS = 150
MAX_RECORD = 4096  # octets; RFC 7208 3.4 wants a record to fit into an answer of 512
MAX_COMPUTED = 0.25  # seconds of a processor for one message, all evaluations together
IN_LOOP = 0.005  # of these without a thread; an evaluation is longer than the one before by one record at most
#: a name of two labels or more, of whatever can be printed: macros make odd ones (RFC 7208 7)
_NAME = re.compile(r"[ -\-/-\[\]-~]{1,63}(\.[ -\-/-\[\]-~]{1,63})+")

_Question = tuple[str, Kind]
_KINDS: dict[str, Kind] = {"A": "A", "AAAA": "AAAA", "MX": "MX", "PTR": "PTR", "TXT": "TXT"}


@dataclass(frozen=True, slots=True)
class Result:
    """What a domain says about the client; `identity` is what was asked for (RFC 7208 2.3, 2.4)."""

    outcome: Outcome
    identity: Identity
    reason: str = ""


class _Missing(Exception):
    def __init__(self, questions: list[_Question]) -> None:
        super().__init__(questions)
        self.questions = questions


class _Whole(str):
    """pyspf looks through the whole of a text once for each of its labels, which takes seconds where there are thousands:
    this one says that it has one label."""

    __slots__ = ()

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        return [str(self)]


class _Evaluation(spf.query):  # type: ignore[misc]
    """pyspf with answers that are there, None for one that cannot be had."""

    def __init__(self, client: str, sender: str, helo: str, receiver: str, answers: dict[_Question, Any]) -> None:
        super().__init__(client, sender, helo, receiver=receiver)
        self._answers = answers

    def _need(self, questions: Sequence[_Question]) -> None:
        missing = [one for one in dict.fromkeys(questions) if _is_name(one[0]) and one not in self._answers]
        if missing:
            raise _Missing(missing)

    def dns(self, name: str, qtype: str, cnames: object = None, ignore_void: bool = False) -> list[Any]:
        """Aliases are followed by who asks the DNS."""
        name = str(name).lower().removesuffix(".")
        found: list[Any] = []
        if _is_name(name):
            question = name, _KINDS[qtype]
            self._need([question])
            answer = self._answers[question]
            if answer is None:
                raise spf.TempError("DNS", f"{name} {qtype}")
            found = list(answer)
            if qtype == "TXT" and any(len(octets) > MAX_RECORD and spf.RE_SPF.match(octets) for (octets,) in found):
                raise spf.PermError(f"the record of {name} has more than {MAX_RECORD} octets")
        if not found and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"more than {spf.MAX_VOID_LOOKUPS} look-ups without an answer")
        return found

    def dns_mx(self, domainname: str) -> list[str]:
        """All exchanges are asked for at once: one evaluation instead of ten."""
        self._need([(domainname.lower().removesuffix("."), "MX")])
        names = self._answers.get((domainname.lower().removesuffix("."), "MX")) or []
        if len(names) <= spf.MAX_MX:
            self._need([(host, self.A) for _, host in names])
        return list(super().dns_mx(domainname))

    def dns_ptr(self, i: str) -> list[str]:
        """Trouble with it means that it does not match (RFC 7208 5.5)."""
        try:
            names = list(super().dns_ptr(i))[: spf.MAX_PTR]
        except spf.TempError:
            return []
        self._need([(name, self.A) for name in names])
        return [name for name in names if self._answers.get((name, self.A)) is not None]

    def expand(self, s: str, stripdot: bool = True) -> str:
        return str(super().expand(_Whole(s), stripdot))

    def get_explanation(self, spec: str) -> None:
        """Nobody is told the words of a domain that refuses: they need not be asked for."""


def _is_name(name: str) -> bool:
    return len(name) <= 253 and _NAME.fullmatch(name) is not None


async def check(
    client: str, return_path: str, helo: str, resolve: Resolve, *, receiver: str, seconds: float, away: Away
) -> Result:
    """What the return path's domain says about the client, or the one of HELO for the null path. Raises what `away`
    raises."""
    identity: Identity = "mailfrom" if return_path else "helo"
    try:
        sender, name = _identities(return_path, helo)
        ipaddress.ip_address(client)
    except (InvalidAddress, ValueError):
        return Result("none", identity)
    if not _is_name(sender.rpartition("@")[2] if sender else name):
        return Result("none", identity)
    answers: dict[_Question, Any] = {}

    def work() -> tuple[Result | list[_Question], float]:
        began = time.thread_time()
        found = _evaluated(_Evaluation(client, sender, name, receiver, answers), identity)
        return found, time.thread_time() - began

    until, computed = asyncio.get_running_loop().time() + seconds, 0.0
    for _ in range(MAX_ROUNDS):
        found, took = work() if computed <= IN_LOOP else await away(work)
        if isinstance(found, Result):
            return found
        computed += took
        if computed > MAX_COMPUTED or len(answers) + len(found) > MAX_QUESTIONS:
            break
        # no more than the 10 exchanges or names of one term are asked for at once
        answers.update(zip(found, await asyncio.gather(*(_answer(resolve, one, until) for one in found)), strict=True))
    return Result("permerror", identity, "the record costs too much")


def _evaluated(evaluation: _Evaluation, identity: Identity) -> Result | list[_Question]:
    """What comes of it, or the questions whose answers it wants first."""
    try:
        outcome, _code, text = evaluation.check()
    except _Missing as missing:
        return missing.questions
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        # a record that the library stumbles over is the sender's mistake, not a reason to put the message off
        return Result("permerror", identity, "the record cannot be read")
    return Result(outcome, identity, text.partition(": ")[2] if outcome in ("temperror", "permerror") else "")


def _identities(return_path: str, helo: str) -> tuple[str, str]:
    """(sender, name in HELO), their domains as A-labels. Raises InvalidAddress."""
    try:
        name = canonical_domain(helo) if helo else ""
    except InvalidAddress:
        name = ""
    if not return_path:
        return "", name
    local, _, _ = return_path.rpartition("@")
    return f"{local}@{canonical_address(return_path).domain}", name or "unknown"


async def _answer(resolve: Resolve, question: _Question, until: float) -> list[Any] | None:
    try:
        async with asyncio.timeout_at(until):
            records: Records = await resolve.ask(*question)
    except (Deferred, TimeoutError):
        return None
    match question[1]:
        case "MX":
            return [(record.preference, record.host) for record in records.values if record.host]
        case "TXT":
            return [(octets,) for octets in records.values]
    return list(records.values)
