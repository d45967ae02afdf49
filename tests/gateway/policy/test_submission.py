"""Sending limits, in words and counted; authors of a message."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from native_entries import PROFILE, entry

from directory.effective import Defaults
from directory.memory import MemorySource
from directory.model import Condition, Deferred
from directory.model.send_limit import SendLimit, parse_limit
from directory.raw import RawEntry
from directory.view import View
from gateway.mail.header import scan
from gateway.policy.content import foreign_author, missing_fields
from gateway.policy.send_limit import counted, limits
from gateway.service.send_counter import SendCounter


def test_limits_in_words() -> None:
    assert parse_limit("200/h") == SendLimit(200, 3600)
    assert parse_limit(" 5 / 10min ") == SendLimit(5, 600)
    assert parse_limit("None") is None
    for wrong in ("many/h", "5/0h", "5", "/h", "5/y"):
        with pytest.raises(ValueError, match="200/h"):
            parse_limit(wrong)
    assert limits(("1/d", "x", "none")) == (SendLimit(1, 86400),)


def test_recipients_are_counted_in_a_sliding_window(tmp_path: Path) -> None:
    counter, limit = SendCounter(tmp_path / "sent.db"), (SendLimit(3, 60),)
    counter.take([("a", limit)], 2, 1000.0)
    with pytest.raises(Deferred):
        counter.take([("a", limit)], 2, 1001.0)
    counter.take([("a", limit)], 1, 1002.0)
    counter.take([("b", limit)], 3, 1002.0)
    counter.take([("a", limit)], 2, 1061.0)
    counter.close()


def test_what_one_limit_refuses_counts_for_none(tmp_path: Path) -> None:
    counter = SendCounter(tmp_path / "sent.db")
    ours = ("domain example.com", (SendLimit(5, 3600),))
    counter.take([("a", (SendLimit(4, 60), SendLimit(9, 86400))), ours], 4, 1000.0)
    with pytest.raises(Deferred, match=r"domain example\.com: 4 \+ 2"):
        counter.take([("b", (SendLimit(4, 60),)), ours], 2, 1000.0)
    counter.take([("b", (SendLimit(4, 60),)), ours], 1, 1001.0)
    counter.take([("b", (SendLimit(4, 60),))], 3, 1001.0)
    with pytest.raises(Deferred, match="b: 4 "):
        counter.take([("b", (SendLimit(4, 60),))], 1, 1001.0)
    counter.close()


def test_a_limit_has_few_rows_however_much_is_sent(tmp_path: Path) -> None:
    counter, limit = SendCounter(tmp_path / "sent.db"), (SendLimit(1000, 100),)
    for second in range(3000):
        counter.take([("a", limit)], 9, 1000.0 + second)
    with sqlite3.connect(tmp_path / "sent.db") as db:
        assert db.execute("SELECT count(*) FROM sent").fetchone()[0] <= 101
    counter.take([("a", limit)], 1000, 500.0)  # a clock that was ahead: what it counted is in the future
    counter.close()


def test_the_file_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "sent.db") as db:
        db.executescript("CREATE TABLE sent (account TEXT, at REAL, recipients INTEGER); PRAGMA user_version=1")
    counter = SendCounter(tmp_path / "sent.db")
    counter.take([("a", (SendLimit(1, 60),))], 1, 1000.0)
    counter.close()


def test_who_is_counted() -> None:
    def person(uid: str, **more: str) -> RawEntry:
        address = f"{uid}@example.com"
        return entry(f"uid={uid}", "inetOrgPerson gatepostAccount", uid=uid, cn=uid, gatepostAddress=address, **more)

    domain = {"gatepostDomainName": "example.com", "gatepostDomainSendLimit": "9/d"}
    view = View(
        MemorySource(
            PROFILE,
            (
                entry("cn=d", "gatepostEntry gatepostDomain", cn="d", **domain),
                person("jane", gatepostSendLimit="5/h"),
                person("joe"),
                person("emma", gatepostSendLimit="none"),
                entry("uid=printer", "account gatepostServiceAccount", uid="printer"),
            ),
        ),
        PROFILE,
        Defaults(send_limits=("3/h",)),
    )

    def of(login: str, path: str = "x@elsewhere.example") -> list[tuple[str, tuple[SendLimit, ...]]]:
        account = view.by_login(login)[0]
        return [(who.replace(account.id, "own"), some) for who, some in counted(view, account, path, ("3/h",))]

    together = ("domain example.com", (SendLimit(9, 86400),))
    assert of("jane") == [("own", (SendLimit(5, 3600),)), together]
    assert of("joe") == [("own", (SendLimit(3, 3600),)), together]
    assert of("emma") == [together]
    assert of("printer", "printer@example.com") == [("own", (SendLimit(3, 3600),)), together]
    assert of("printer") == of("printer", "") == [("own", (SendLimit(3, 3600),))]


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
