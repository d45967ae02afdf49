"""Sending limits, in words and counted; authors of a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from directory.model import Condition, Deferred
from gateway.mail.header import scan
from gateway.policy.content import foreign_author, missing_fields
from gateway.policy.send_limit import SendLimit, limits, parse
from gateway.service.send_counter import SendCounter


def test_limits_in_words() -> None:
    assert parse("200/h") == SendLimit(200, 3600)
    assert parse(" 5 / 10min ") == SendLimit(5, 600)
    assert parse("many/h") is None
    assert limits(("1/d", "x")) == (SendLimit(1, 86400),)


def test_recipients_are_counted_in_a_sliding_window(tmp_path: Path) -> None:
    counter, limit = SendCounter(tmp_path / "sent.db"), (SendLimit(3, 60),)
    counter.take("a", 2, limit, 1000.0)
    with pytest.raises(Deferred):
        counter.take("a", 2, limit, 1001.0)
    counter.take("a", 1, limit, 1002.0)
    counter.take("b", 3, limit, 1002.0)
    counter.take("a", 2, limit, 1061.0)
    counter.close()


@pytest.mark.parametrize(
    ("head", "condition"),
    [
        (b"From: me@x\n", None),
        (b"From: me@x, you@x\n", Condition.AUTHOR_NOT_OWNED),
        (b'From: "me@x" <you@x>\n', Condition.AUTHOR_NOT_OWNED),
        (b"From: me@x\nfrom: you@x\n", Condition.BAD_MESSAGE),
        (b"Subject: none\n", Condition.BAD_MESSAGE),
        (b"From: me@x <you@x>\n", Condition.BAD_MESSAGE),
    ],
)
def test_every_author_is_ones_own(head: bytes, condition: Condition | None) -> None:
    error = foreign_author(scan(head + b"\nbody\n"), lambda address: address == "me@x")
    assert (error and error.condition) == condition


def test_missing_fields() -> None:
    header = scan(b"Date: now\n\n")
    assert missing_fields(header, message_id="1", hostname="h", now=0.0) == b"Message-ID: <1@h>\n"
