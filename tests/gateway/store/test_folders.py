"""Mailboxes made, renamed, removed and subscribed to; names that would leave the Maildir."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from store_bench import BODY, Bench, person

from directory.model import Deferred
from gateway.store import markers
from gateway.store.errors import InvalidMailboxName, MailboxExists, NoSuchMailbox
from gateway.store.layout import checked_name, decode_level, encode_level, folder_of, name_of

ANN = person()


@pytest.fixture(params=["sqlite", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(tmp_path, request.param)


def names(bench: Bench) -> list[str]:
    return [row.name for row in bench.stores.mailboxes(ANN)]


def test_everybody_has_the_usual_mailboxes(bench: Bench) -> None:
    rows = bench.stores.mailboxes(ANN)
    assert {row.name: row.special_use for row in rows} == {
        "INBOX": "", "Drafts": "\\Drafts", "Sent": "\\Sent", "Trash": "\\Trash", "Junk": "\\Junk",
        "Archive": "\\Archive",
    }  # fmt: skip
    assert all(row.subscribed for row in rows)
    assert (bench.maildir(ANN) / ".Junk" / "cur").is_dir()


def test_folders_that_stand_there_already_get_their_use(bench: Bench) -> None:
    bench.stores.open(ANN)
    (bench.maildir(ANN) / ".Sent" / "cur").mkdir(parents=True)
    (bench.maildir(ANN) / ".Lists" / "cur").mkdir(parents=True)
    rows = {row.name: row for row in bench.stores.mailboxes(ANN)}
    assert rows["Sent"].special_use == "\\Sent"
    assert rows["Lists"].subscribed


def test_create_makes_parents_and_every_uidvalidity_is_new(bench: Bench) -> None:
    made = bench.stores.create_mailbox(ANN, "Work/2026/März", "\\Archive")
    assert {"Work", "Work/2026", "Work/2026/März"} <= set(names(bench))
    marker = markers.read(str(bench.maildir(ANN) / ".Work.2026.M&AOQ-rz" / markers.MAILBOX))
    assert marker is not None
    assert (marker["id"], marker["uidvalidity"], marker["special_use"]) == (made.id, made.uidvalidity, "\\Archive")
    with pytest.raises(MailboxExists):
        bench.stores.create_mailbox(ANN, "Work/2026/März")
    bench.stores.delete_mailbox(ANN, "Work/2026/März")
    again = bench.stores.create_mailbox(ANN, "Work/2026/März")
    assert again.uidvalidity > made.uidvalidity
    assert again.id > made.id


def test_delete_removes_rows_files_and_use(bench: Bench) -> None:
    bench.stores.create_mailbox(ANN, "Work/Old")
    bench.stores.append(ANN, "Work", [BODY])
    bench.stores.append(ANN, "Work/Old", [BODY])
    bench.stores.delete_mailbox(ANN, "Work")
    assert "Work" not in names(bench)
    assert "Work/Old" in names(bench)
    account = bench.repository.account(ANN.id)
    assert account is not None
    assert account.used_messages == 1
    assert not (bench.maildir(ANN) / ".Work").exists()
    assert not [name for name in os.listdir(bench.maildir(ANN)) if "removed" in name]
    with pytest.raises(NoSuchMailbox):
        bench.stores.delete_mailbox(ANN, "Work")
    with pytest.raises(InvalidMailboxName):
        bench.stores.delete_mailbox(ANN, "inbox")


def test_rename_takes_those_below_and_keeps_uids(bench: Bench) -> None:
    bench.stores.create_mailbox(ANN, "Work/Old")
    message = bench.stores.append(ANN, "Work/Old", [BODY])
    before = bench.open(ANN, "Work/Old")[0]
    bench.stores.subscribe(ANN, "Work/Old", True)
    bench.stores.rename_mailbox(ANN, "Work", "Archive/2026")
    after, messages = bench.open(ANN, "Archive/2026/Old")
    assert (after.id, after.uidvalidity) == (before.id, before.uidvalidity)
    assert messages == [message]
    assert bench.stores.read(ANN.id, after, message) == BODY
    assert "Work" not in names(bench)
    assert "Archive" in names(bench)
    assert "Archive/2026/Old" in bench.stores.subscriptions(ANN)
    for name, new, error in (
        ("Nowhere", "X", NoSuchMailbox),
        ("Archive", "INBOX", MailboxExists),
        ("Archive", "Junk", MailboxExists),
        ("Archive", "Archive/2026/Old/Deeper", InvalidMailboxName),
    ):
        with pytest.raises(error):
            bench.stores.rename_mailbox(ANN, name, new)
    assert bench.stores.read(ANN.id, *bench.open(ANN, "Archive/2026/Old")[:1], message) == BODY


def test_rename_of_inbox_gives_its_messages_away(bench: Bench) -> None:
    bench.deliver(ANN)
    bench.deliver(ANN)
    bench.stores.rename_mailbox(ANN, "INBOX", "Old")
    assert bench.inbox(ANN)[1] == []
    assert [m.uid for m in bench.open(ANN, "Old")[1]] == [1, 2]
    assert bench.deliver(ANN) == 3


def test_subscriptions_outlive_mailboxes(bench: Bench) -> None:
    bench.stores.create_mailbox(ANN, "Work")
    bench.stores.subscribe(ANN, "Work", True)
    bench.stores.subscribe(ANN, "Never", True)
    bench.stores.delete_mailbox(ANN, "Work")
    assert {"Work", "Never"} <= set(bench.stores.subscriptions(ANN))
    bench.stores.subscribe(ANN, "Work", False)
    bench.stores.subscribe(ANN, "Work", False)
    assert "Work" not in bench.stores.subscriptions(ANN)


def test_a_folder_that_another_program_renamed_keeps_its_row(bench: Bench) -> None:
    bench.stores.create_mailbox(ANN, "Work")
    bench.stores.append(ANN, "Work", [BODY])
    before = bench.open(ANN, "Work")[0]
    (bench.maildir(ANN) / ".Work").rename(bench.maildir(ANN) / ".Play")
    assert "Work" not in names(bench)
    assert "Play" in names(bench)
    after, messages = bench.open(ANN, "Play")
    assert (after.id, after.uidvalidity, len(messages)) == (before.id, before.uidvalidity, 1)


def test_a_copied_folder_is_a_new_mailbox(bench: Bench) -> None:
    bench.stores.create_mailbox(ANN, "Work")
    bench.stores.append(ANN, "Work", [BODY])
    shutil.copytree(bench.maildir(ANN) / ".Work", bench.maildir(ANN) / ".Copy")
    work, copy = bench.open(ANN, "Work")[0], bench.open(ANN, "Copy")[0]
    assert work.id != copy.id
    assert work.uidvalidity != copy.uidvalidity
    marker = markers.read(str(bench.maildir(ANN) / ".Copy" / markers.MAILBOX))
    assert marker is not None
    assert marker["id"] == copy.id


def test_a_removed_folder_is_believed_after_a_minute(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.stores.create_mailbox(ANN, "Work")
    bench.stores.append(ANN, "Work", [BODY])
    shutil.rmtree(bench.maildir(ANN) / ".Work")
    with pytest.raises(Deferred):
        bench.open(ANN, "Work")
    monkeypatch.setattr("gateway.store.adopting.MISSING_SECONDS", 0.0)
    with pytest.raises(NoSuchMailbox):
        bench.open(ANN, "Work")
    assert "Work" not in names(bench)


def test_a_create_that_a_crash_cut_off_is_finished(bench: Bench) -> None:
    bench.stores.open(ANN)
    bench.repository.create_mailbox(ANN.id, "Work")
    assert bench.open(ANN, "Work")[1] == []
    assert (bench.maildir(ANN) / ".Work" / markers.MAILBOX).exists()


@pytest.mark.parametrize(
    "name",
    ["", "/", "a//b", "/a", "..", "a/../b", ".", "a/.", "x\0y", "a\nb", "a\x7f", "a*", "a%b", "\ud800", "Shared/x",
     "Other Users/x", "x" * 2000, "x" * 260, "/".join("abcdefghi" * 8), "\u2028"],
)  # fmt: skip
def test_names_that_cannot_be(bench: Bench, name: str) -> None:
    bench.stores.open(ANN)
    with pytest.raises(InvalidMailboxName):
        bench.stores.create_mailbox(ANN, name)
    if not name.startswith(("Shared", "Other")):
        with pytest.raises(InvalidMailboxName):
            bench.stores.subscribe(ANN, name, True)
    with pytest.raises((InvalidMailboxName, NoSuchMailbox)):
        bench.stores.rename_mailbox(ANN, "Junk", name)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("INBOX", ""),
        ("inbox/Work", ".INBOX.Work"),
        ("a.b", ".a&AC4-b"),
        ("a&b", ".a&-b"),
        ("..a", ".&AC4ALg-a"),
        ("Entwürfe/日本語", ".Entw&APw-rfe.&ZeVnLIqe-"),
        ("a:2,S", ".a:2,S"),
    ],
)
def test_folder_names(name: str, folder: str) -> None:
    assert folder_of(checked_name(name)) == folder
    if folder:
        assert name_of(folder) == checked_name(name)


@pytest.mark.parametrize("text", ["&", "&&&", "a&b-c", "~peter", "&AC4-", "\U0001f600", "é"])
def test_levels_come_back(text: str) -> None:
    assert decode_level(encode_level(text)) == text
    assert "." not in encode_level(text)
    assert "/" not in encode_level(text)


@pytest.mark.parametrize("folder", ["a", "..", "..x", ".&", ".&!-", ".&2AA-", ".a..b", ".a/b", ".a&AC8-b", ".a&AGE-"])
def test_folders_that_are_none(folder: str) -> None:
    assert name_of(folder) is None
