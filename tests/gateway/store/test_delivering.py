"""Delivery: hard links, quota to the octet, a full disk, an index that is down, who may have which store."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from mount_namespace import mount_namespace
from store_bench import BODY, Bench, person

from directory.model import Condition, Deferred, MailboxHolder, Refused
from gateway.store import delivering, markers
from gateway.store.repository import MessageRow
from gateway.store.settings import StoreSettings, Volume
from gateway.store.stores import Stores, Target

ANN, BOB, CAT = person(), person("bob"), person("cat")
WIRE = len(BODY) + BODY.count(b"\n")


@pytest.fixture(params=["sqlite", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(tmp_path, request.param)


def used(bench: Bench, holder: MailboxHolder) -> tuple[int, int]:
    row = bench.repository.account(holder.id)
    return (row.used_bytes, row.used_messages) if row else (0, 0)


def test_many_recipients_share_one_file(bench: Bench) -> None:
    full = person("bob", quota=3)
    targets = [Target(ANN, "ann@x"), Target(full, "bob@x"), Target(CAT, "cat@x"), Target(ANN, "ann2@x")]
    outcomes = bench.stores.deliver_many(targets, [BODY], len(BODY), WIRE)
    assert [type(outcome) for outcome in outcomes] == [MessageRow, Refused, MessageRow, MessageRow]
    paths = []
    for holder in (ANN, CAT):
        row, messages = bench.inbox(holder)
        assert [bench.stores.read(holder.id, row, m) for m in messages] == [BODY] * len(messages)
        paths += [bench.maildir(holder) / "cur" / f"{m.name}:2," for m in messages]
    assert len(paths) == 3
    assert {os.stat(path).st_ino for path in paths} == {os.stat(paths[0]).st_ino}
    assert os.stat(paths[0]).st_nlink == 3
    assert [m.recipient for m in bench.inbox(ANN)[1]] == ["ann@x", "ann2@x"]
    for holder in (ANN, BOB, CAT):
        assert bench.files(holder)["tmp"] == bench.files(holder)["new"] == []


def test_two_volumes_get_a_file_each(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    markers.prepare_volume(other)
    volumes = {"main": Volume(path=str(bench.volume)), "other": Volume(path=str(other), durability="syncfs")}
    stores = Stores(StoreSettings(volumes=volumes), bench.repository)
    far, missing = person("bob", store="other"), person("cat", store="nowhere")
    outcomes = stores.deliver_many([Target(h, "") for h in (ANN, far, missing)], [BODY], len(BODY), WIRE)
    assert [type(outcome) for outcome in outcomes] == [MessageRow, MessageRow, Deferred]
    assert stores.open(far).path.startswith(str(other))


def test_quota_is_exact(bench: Bench) -> None:
    holder = person(quota=3 * len(BODY), quota_messages=100)
    for _ in range(3):
        bench.deliver(holder)
    with pytest.raises(Refused) as caught:
        bench.deliver(holder)
    assert caught.value.condition is Condition.MAILBOX_FULL
    assert used(bench, holder) == (3 * len(BODY), 3)
    assert bench.files(holder)["tmp"] == []
    bench.stores.expunge(holder, bench.inbox(holder)[0], [2])
    bench.deliver(holder)
    with pytest.raises(Refused):
        bench.deliver(person(quota=0, quota_messages=3))
    bench.deliver(person(quota=0, quota_messages=4))


def test_quota_is_exact_when_many_deliver_at_once(bench: Bench) -> None:
    holder = person(quota_messages=25)
    bench.stores.open(holder)
    refused: list[int] = []

    def run() -> None:
        for _ in range(10):
            try:
                bench.deliver(holder)
            except Refused:
                refused.append(1)

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 25
    assert used(bench, holder) == (25 * len(BODY), 25)
    assert len(bench.files(holder)["cur"]) == 25
    assert [m.uid for m in bench.inbox(holder)[1]] == list(range(1, 26))


def test_changes_are_told(bench: Bench) -> None:
    bench.deliver(ANN)
    assert bench.changes == [(ANN.id, 1, 2)]


class Dead:
    """An index that does not answer."""

    def __getattr__(self, name: str) -> object:
        def fail(*_: object, **__: object) -> object:
            raise Deferred(Condition.STORE_UNAVAILABLE, "index: disk I/O error")

        return fail


def test_an_index_that_is_down_loses_nothing(bench: Bench) -> None:
    bench.deliver(ANN)
    maildir = bench.maildir(ANN)
    alive, bench.stores._index = bench.repository, Dead()  # type: ignore[assignment]
    bench.stores._known.clear()
    outcomes = bench.stores.deliver_many([Target(ANN, "ann@x"), Target(BOB, "bob@x")], [BODY], len(BODY), WIRE)
    # the store of somebody who has none yet is not made without an index
    assert isinstance(outcomes[0], MessageRow)
    assert outcomes[0].uid == 0
    assert isinstance(outcomes[1], Deferred)
    assert len(os.listdir(maildir / "new")) == 1
    bench.stores._index = alive
    assert [m.uid for m in bench.inbox(ANN)[1]] == [1, 2]
    assert os.listdir(maildir / "new") == []


def test_a_full_disk_defers_and_leaves_nothing(tmp_path: Path) -> None:
    command = [*mount_namespace(), sys.executable, str(Path(__file__).with_name("full_disk.py")), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr


def test_an_address_that_changed_hands_waits_for_a_decision(tmp_path: Path) -> None:
    bench = Bench(tmp_path, is_alive=lambda entry: entry != "t:ann")
    bench.deliver(ANN)
    heir = person("other").__class__(id="t:heir", dn="uid=heir,o=test", addresses=ANN.addresses)
    for act in (bench.stores.check_takes_mail, bench.deliver):
        with pytest.raises(Deferred) as caught:
            act(heir)
        assert caught.value.condition is Condition.ACCOUNT_REBIND
    bench.stores.check_takes_mail(person("new"))
    assert caught.value.condition.code == 451
    bench.stores.rebind(ANN.id, heir)
    bench.deliver(heir)
    _row, messages = bench.inbox(heir)
    assert [m.uid for m in messages] == [1, 2]
    assert markers.read(str(bench.maildir(heir) / markers.ACCOUNT)) is not None


def test_an_address_that_changed_hands_may_begin_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path, is_alive=lambda entry: entry != "t:ann")
    bench.deliver(ANN)
    heir = person("other").__class__(id="t:heir", dn="uid=heir,o=test", addresses=ANN.addresses)
    bench.stores.rebind(ANN.id, heir, "fresh")
    bench.deliver(heir)
    assert [m.uid for m in bench.inbox(heir)[1]] == [1]
    assert bench.maildir(heir) != bench.maildir(ANN)
    with pytest.raises(ValueError, match="mode"):
        bench.stores.rebind("t:x", heir, "somehow")


def test_somebody_alive_may_share_an_address_for_a_while(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.deliver(ANN)
    other = person("other").__class__(id="t:other", dn="uid=other,o=test", addresses=ANN.addresses)
    bench.deliver(other)  # the router decides about ambiguous addresses, the store only about vanished ids


@pytest.mark.parametrize("maildir", ["../../etc", "/etc/passwd", "a/../../../b", "x\0y", "."])
def test_a_path_that_leaves_the_volume_is_refused(bench: Bench, maildir: str) -> None:
    with pytest.raises(Deferred, match="leaves the volume"):
        bench.deliver(person(maildir=maildir))
    assert [entry.name for entry in bench.volume.iterdir()] == [markers.STORE]


def test_a_path_of_the_directory_is_used(bench: Bench) -> None:
    bench.deliver(person(maildir="people/ann/Maildir"))
    assert (bench.volume / "people" / "ann" / "Maildir" / "cur").is_dir()


def test_who_removes_a_message_before_it_has_its_name_had_it_delivered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = delivering.rename_unique

    def late(source: str, target: str) -> None:
        row, (message,) = bench.inbox(ANN)
        bench.stores.repository.expunge(ANN.id, row.id, [message.uid])
        os.unlink(source)
        real(source, target)

    monkeypatch.setattr(delivering, "rename_unique", late)
    assert bench.deliver(ANN) == 1, "not Deferred, which would have it delivered again"
    assert bench.stores.append(ANN, "INBOX", [BODY]).uid == 2, "nor NO, which would have the client repeat it"
    monkeypatch.undo()
    assert bench.inbox(ANN)[1] == []


def test_a_copy_that_is_removed_before_it_has_its_name_was_made(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.deliver(ANN)
    real = delivering.rename_unique

    def late(source: str, target: str) -> None:
        drafts = bench.stores.open_mailbox(ANN, "Drafts")
        bench.stores.repository.expunge(ANN.id, drafts.id, [1])
        os.unlink(source)
        real(source, target)

    bench.stores.furnish(ANN, str(bench.maildir(ANN)))
    row, (message,) = bench.inbox(ANN)
    monkeypatch.setattr(delivering, "rename_unique", late)
    ((source, made),) = bench.stores.copy(ANN, row, [message.uid], "Drafts")
    assert (source.uid, made.uid) == (1, 1)
