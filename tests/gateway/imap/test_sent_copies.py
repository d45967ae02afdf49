"""What is sent as a shared mailbox is kept in its Sent mailbox, where that is configured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from imap_bench import Bench, entry

from directory.model import Condition, Deferred
from gateway.mail.header import scan
from gateway.service.smtp_executor import SmtpExecutor

SENT = b"Shared/info@example.com/Sent"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.source.put(entry("info", "gatepostSharedMailbox", gatepostAddress="info@example.com",
                          gatepostFullAccess=["uid=jane,dc=example", "uid=ann,dc=example"]))  # fmt: skip
    made.source.put(entry("far", "gatepostSharedMailbox", gatepostAddress="far@example.com",
                          gatepostMailHost="other.example", gatepostFullAccess="uid=jane,dc=example"))  # fmt: skip
    yield made
    made.close()


def send(bench: Bench, author: bytes, *, kept: bool = True) -> None:
    settings = SimpleNamespace(
        smtp=SimpleNamespace(keep_sent_shared=kept), route=SimpleNamespace(extension_separator="+"),
        hostname="mail.example",
    )  # fmt: skip
    host = SimpleNamespace(directory=bench.host.directory, stores=bench.stores, settings=settings)
    front = b"From: " + author + b"\nSubject: answer\n\nyes\n"
    SmtpExecutor(cast(Any, None), cast(Any, host))._keep_sent(scan(front), [b"Date: today\n", front], "m1")


def test_all_who_work_on_it_see_what_was_sent_and_it_is_not_new_to_them(bench: Bench) -> None:
    ann = bench.client(b"SELECT " + SENT, login=b"ann")
    send(bench, b"Info <Info+x@Example.com>, info@example.com")
    assert b"* 1 EXISTS" in ann.say(b"NOOP")
    told = ann.say(b"FETCH 1 (FLAGS BODY.PEEK[])")
    assert b"FLAGS (\\Seen)" in told
    assert b"Date: today\r\nFrom: Info" in told


@pytest.mark.parametrize("author", [b"jane@example.com", b"far@example.com", b"nobody@example.com", b"@", b"x@y@z <"])
def test_of_other_messages_there_is_no_copy(bench: Bench, author: bytes) -> None:
    send(bench, author)
    send(bench, b"info@example.com", kept=False)
    assert b"* 0 EXISTS" in bench.client().say(b"SELECT " + SENT)


def test_it_is_made_anew_and_its_trouble_is_nobodys(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.client().say(b"STATUS %b (MESSAGES)" % SENT)
    assert bench.client().say(b"DELETE " + SENT).startswith(b"a OK ")
    send(bench, b"info@example.com")
    assert b"* 1 EXISTS" in bench.client().say(b"SELECT " + SENT)

    def broken(*_: object) -> None:
        raise Deferred(Condition.STORE_UNAVAILABLE, "disk")

    monkeypatch.setattr(bench.stores, "append", broken)
    send(bench, b"info@example.com")
    assert b"* 1 EXISTS" in bench.client().say(b"SELECT " + SENT)
