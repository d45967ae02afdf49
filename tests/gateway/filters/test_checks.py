"""Content checks: their order, their sum, and the one that is built in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from directory.model import Condition, Deferred, Refused
from gateway.filters.hops import HopCheck
from gateway.filters.port import ACCEPT, ContentCheck, Facts, Kind, Verdict, run
from gateway.mail.envelope import Envelope
from gateway.mail.header import scan


class Says:
    name = "says"

    def __init__(self, answer: Verdict | Exception) -> None:
        self._answer = answer

    async def check(self, facts: Facts, body: Sequence[bytes], deadline: float) -> Verdict:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def verdict(checks: Sequence[ContentCheck], message: bytes = b"Subject: x\n\n") -> Verdict:
    facts = Facts(Envelope("a@b.example"), scan(message), "::1", "mx", "here")
    return asyncio.run(run(checks, facts, [message], 0.0))


def test_lines_and_junk_add_up() -> None:
    found = verdict(
        [
            Says(Verdict(Kind.JUNK, (b"X-A: 1\n",), ("spf=pass",))),
            Says(ACCEPT),
            Says(Verdict(Kind.ACCEPT, (b"X-B: 2\n",), ("dkim=none",))),
        ]
    )
    assert found == Verdict(Kind.JUNK, (b"X-A: 1\n", b"X-B: 2\n"), ("spf=pass", "dkim=none"))
    assert verdict([]) is ACCEPT


def test_the_first_that_objects_ends_it() -> None:
    with pytest.raises(Deferred):
        verdict([Says(Deferred(Condition.OVERLOADED)), Says(Refused(Condition.BAD_MESSAGE))])


@pytest.mark.parametrize("field", [b"Received: x\n", b"RECEIVED : x\n\tby y\n"])
def test_hops(field: bytes) -> None:
    assert verdict([HopCheck(3)], field * 3 + b"\n" + field * 9) is ACCEPT
    with pytest.raises(Refused) as caught:
        verdict([HopCheck(3)], field * 4 + b"\nbody\n")
    assert caught.value.condition is Condition.TOO_MANY_HOPS
