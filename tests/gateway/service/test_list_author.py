"""When copies for members outside carry the list's own From."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

import pytest
from list_company import Desk

from directory.model import Condition, Deferred
from gateway.lists.dmarc import demands, names
from gateway.lists.settings import ListSettings


@pytest.mark.parametrize(
    ("record", "is_own", "expected"),
    [
        (b"v=DMARC1; p=reject; rua=mailto:x@y", True, True), (b"v=DMARC1;p=QUARANTINE", True, True),
        (b"v=DMARC1; p=none", True, False), (b"v=DMARC1", True, False), (b"v=DMARC1; p=none; sp=reject", True, False),
        (b"v=DMARC1; p=none; sp=reject", False, True), (b"v=DMARC1; p=reject; sp=none", False, False),
        (b"v=DMARC1; p=reject", False, True), (b"v=spf1 -all", True, None), (b"", True, None), (b"p=reject; v=DMARC1", True, None),
        (b"v=DMARC12; p=reject", True, None), (b"v=DMARC1; p=none; p=reject", True, False), (b"\xff;=;;p", True, None),
    ],
)  # fmt: skip
def test_records(record: bytes, is_own: bool, expected: bool | None) -> None:
    assert demands(record, is_own=is_own) is expected


def test_names() -> None:
    assert list(names("A.b.example.")) == ["_dmarc.a.b.example", "_dmarc.b.example"]
    assert list(names("example")) == ["_dmarc.example"]
    assert len(list(names("x." * 50 + "example"))) == 7


STRICT = {"_dmarc.strict.example": b"v=DMARC1; p=reject", "_dmarc.lax.example": b"v=DMARC1; p=none",
          "_dmarc.example.com": b"v=DMARC1; p=reject", "_dmarc.away.example": Deferred(Condition.DIRECTORY_STALE)}  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "author", "is_own"),
    [
        ("dmarc", "a@strict.example", True), ("dmarc", "a@sub.strict.example", True), ("dmarc", "a@lax.example", False),
        ("dmarc", "a@none.example", False), ("dmarc", "a@example.com", False), ("dmarc", "a@sub.example.com", False),
        ("dmarc", "a@away.example", True), ("dmarc", "a@x.example, b@y.example", True), ("never", "a@strict.example", False),
        ("always", "a@lax.example", True),
    ],
)  # fmt: skip
def test_when(tmp_path: Path, mode: Literal["dmarc", "always", "never"], author: str, is_own: bool) -> None:
    desk = Desk(tmp_path, settings=ListSettings(own_from=mode))
    desk.dns.update(STRICT)
    found = asyncio.run(desk.desk.rewriting(desk.team, iter((f"From: {author}\n\n".encode(),))))
    assert found.own_from is is_own
    assert mode == "dmarc" or not desk.questions, "nothing is asked without need"
    desk.close()
