"""Mailbox contents kept in memory: how many, and how many messages in them."""

from __future__ import annotations

import pytest

from gateway.imap.view import Columns, Contents
from gateway.service import imap_selecting
from gateway.service.imap_selecting import OpenMailboxes


def opened(mailboxes: OpenMailboxes, number: int, messages: int) -> Contents:
    contents = mailboxes.contents((f"id:{number}", 1, ""), 7)
    columns = Columns()
    uids = range(1, messages + 1)
    columns.extend(uids, uids, [b""] * messages, uids, [0.0] * messages)
    contents.fill(columns, uidnext=messages + 1, modseq=messages + 1)
    mailboxes.trim(contents)
    return contents


def is_kept(mailboxes: OpenMailboxes, number: int) -> bool:
    return mailboxes.contents((f"id:{number}", 1, ""), 7).modseq > 0


def test_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_selecting, "MAX_KEPT", 3)
    mailboxes = OpenMailboxes()
    for number in range(5):
        opened(mailboxes, number, 1)
    assert [number for number in (2, 3, 4) if is_kept(mailboxes, number)] == [2, 3, 4]
    assert not is_kept(mailboxes, 0)


def test_messages_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_selecting, "MAX_KEPT_MESSAGES", 100)
    mailboxes = OpenMailboxes()
    opened(mailboxes, 0, 60)
    opened(mailboxes, 1, 30)
    assert is_kept(mailboxes, 0)
    opened(mailboxes, 2, 20)
    assert not is_kept(mailboxes, 1), "the one that was used longest ago"


def test_a_mailbox_in_use_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_selecting, "MAX_KEPT", 1)
    mailboxes = OpenMailboxes()
    first = opened(mailboxes, 0, 5)
    opened(mailboxes, 1, 5)
    assert mailboxes.contents(("id:0", 1, ""), 7) is first
