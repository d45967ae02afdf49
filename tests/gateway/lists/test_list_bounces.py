"""What a report that came back says, and what it does to a member: tables, then the real file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.model import Deferred
from gateway.files.secret import secret_key
from gateway.lists.bounce import HARD, SOFT, failures, is_automatic
from gateway.queue.list_state import ListState, bounces

REPORT = """From: MAILER-DAEMON@far.example
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b

Sorry.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.far.example

{blocks}

--b
Content-Type: message/rfc822

Action: failed
Final-Recipient: rfc822; victim@example.com

--b--
"""


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ("Final-Recipient: rfc822; Out@far.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 no",
         [(("out@far.example",), HARD, "smtp; 550 no")]),
        ("Original-Recipient: rfc822;a@x\nFinal-Recipient: rfc822;<b@x>\nAction: FAILED\nStatus: 4.4.7",
         [(("a@x", "b@x"), SOFT, "4.4.7")]),
        ("Final-Recipient: rfc822; a@x\nAction: failed\nStatus: 5.4.7", [(("a@x",), SOFT, "5.4.7")]),
        ("Final-Recipient: rfc822; a@x\nAction: failed\nStatus: 5.2.2 (full)", [(("a@x",), SOFT, "5.2.2 (full)")]),
        ("Final-Recipient: rfc822; a@x\nAction: failed", [(("a@x",), HARD, "")]),
        ("Final-Recipient: rfc822; a@x\nAction: delayed\nStatus: 4.4.1", []),
        ("Final-Recipient: rfc822; a@x\nAction: delivered", []),
        ("Action: failed\nStatus: 5.0.0\n\nFinal-Recipient: rfc822; b@x\nAction: failed", [((), HARD, "5.0.0"), (("b@x",), HARD, "")]),
    ],
)  # fmt: skip
def test_reports(blocks: str, expected: list[object]) -> None:
    found = failures(REPORT.format(blocks=blocks).encode())
    assert found is not None
    assert [(one.addresses, one.weight, one.why) for one in found] == expected


def test_no_report() -> None:
    assert failures(b"Subject: hello\n\nAction: failed\n") is None
    assert is_automatic(b"Auto-Submitted: auto-replied (vacation)\n\n")
    assert not is_automatic(b"Auto-Submitted: auto-generated\n\n")


@given(st.binary(max_size=400))
def test_anything_may_come(junk: bytes) -> None:
    failures(junk)
    failures(REPORT.format(blocks="X").encode().replace(b"X", junk))


def count(
    state: ListState, number: int, weight: float = HARD, now: float = 1000.0, member: str = "out@far.example"
) -> bool:
    return state.bounced("t:1", member, weight, "550 no", f"m{number}", now, limit=3, forget=100)


def test_a_member_is_parked_at_the_limit_and_every_process_knows(tmp_path: Path) -> None:
    state, other = ListState(tmp_path / "lists.db"), ListState(tmp_path / "lists.db")
    assert [count(state, n) for n in (1, 1, 2)] == [False] * 3, "the same message counts once"
    assert other.parked("t:1") == frozenset()
    assert not count(state, 3, SOFT)
    assert count(state, 4, SOFT)
    assert not count(state, 5), "he is parked already"
    assert other.parked("t:1") == state.parked("t:1") == {"out@far.example"}
    assert other.parked("t:2") == frozenset()
    (one,) = bounces(tmp_path / "lists.db", "t:1")
    assert (one.member, one.score, one.count, one.parked) == ("out@far.example", 4.0, 5, 1000.0)
    assert other.unpark("t:1", "out@far.example")
    assert not other.unpark("t:1", "out@far.example")
    assert state.parked("t:1") == frozenset()
    state.close()
    other.close()


def test_old_bounces_are_forgotten_parking_is_not(tmp_path: Path) -> None:
    state = ListState(tmp_path / "lists.db")
    count(state, 1)
    count(state, 2, now=1090.0)
    assert not count(state, 3, now=1200.0)
    for number in range(4, 7):
        count(state, number, now=1200.0, member="b@x")
    assert not count(state, 9, now=9999.0)
    assert state.parked("t:1") == {"b@x"}
    state.close()


def test_trouble_is_temporary(tmp_path: Path) -> None:
    (tmp_path / "lists.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Deferred):
        ListState(tmp_path / "lists.db")
    with pytest.raises(Deferred):
        bounces(tmp_path / "lists.db", "t:1")


def test_one_key_however_many_make_it(tmp_path: Path) -> None:
    found: list[bytes] = []
    start = threading.Barrier(8)

    def make() -> None:
        start.wait()
        found.append(secret_key(tmp_path / "key"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert os.listdir(tmp_path) == ["key"]
    assert os.stat(tmp_path / "key").st_mode & 0o777 == 0o600
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(ValueError, match="not a key"):
        secret_key(tmp_path / "key")
