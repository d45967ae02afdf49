"""Ranges of UIDs with the same number of messages each (UIDBATCHES, RFC 10022)."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from two_sessions import Client

from gateway.imap.commands import uidbatches
from gateway.imap.view import Contents, Row, View

pytest_plugins = ["session_fixtures"]


def view_of(uids: list[int]) -> View:
    contents = Contents(("x", 1, ""), 7)
    contents.apply([Row(uid, 1, b"", 1, 0.0) for uid in uids], (), uidnext=uids[-1] + 1 if uids else 1, modseq=2)
    return View(contents)


@given(st.sets(st.integers(1, 200)).map(sorted), st.integers(1, 9))
def test_every_message_is_in_one_batch_and_only_the_oldest_is_smaller(uids: list[int], size: int) -> None:
    view = view_of(uids)
    said = uidbatches._batches(view, size, 1, None).decode()
    ranges = [tuple(map(int, each.split(":"))) for each in said.split(",")] if said else []
    held = [[uid for uid in uids if low <= uid <= high] for high, low in ranges]
    assert [uid for each in held[::-1] for uid in each] == uids
    assert all(len(each) == size for each in held[:-1])
    for (_, low), (high, _) in pairwise(ranges):
        assert high == low - 1
    for first in range(1, 4):
        part = uidbatches._batches(view, size, first, first + 1).decode()
        assert part == ",".join(f"{high}:{low}" for high, low in ranges[first - 1 : first + 1])


def test_a_mailbox_in_batches(pair: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = pair
    monkeypatch.setattr(uidbatches, "MIN_SIZE", 2)
    two.say("STORE 1 +FLAGS (\\Deleted)")
    two.say("EXPUNGE")
    two.say("UID COPY 2:3 INBOX")
    assert " UIDBATCHES " in one.say("CAPABILITY")
    one.say("NOOP")
    assert one.say("UIDBATCHES 2") == '* UIDBATCHES (TAG "T") 5:4,3:1\r\nT OK UIDBATCHES completed\r\n'
    assert one.say("UIDBATCHES 3 2:9").startswith('* UIDBATCHES (TAG "T") 2:1\r\n')
    assert one.say("UIDBATCHES 3 3:9").startswith('* UIDBATCHES (TAG "T")\r\n')
    for low, high in re.findall(r"(\d):(\d)", one.say("UIDBATCHES 2")):
        assert len(re.findall("FETCH", one.say(f"UID FETCH {low}:{high} UID"))) == 3  # two, and the answer's own


def test_refusals(pair: tuple[Client, Client]) -> None:
    one, two = pair
    assert one.say("UIDBATCHES 499").startswith("T NO [TOOFEW] ")
    assert one.say("UIDBATCHES 500 3:2").startswith("T BAD [CLIENTBUG] ")
    assert one.say("UIDBATCHES 500 0:2").startswith("T BAD [CLIENTBUG] ")
    for wrong in ("UIDBATCHES", "UIDBATCHES x", "UIDBATCHES 500 2", "UIDBATCHES 500 1:2 3"):
        assert one.say(wrong).startswith("T BAD "), wrong
    two.say("UNSELECT")
    assert two.say("UIDBATCHES 500").startswith("T BAD not allowed")
