"""The index is lost; the files tell the story again."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import eventually
from store_bench import BODY, Bench, person

from directory.model import Condition, Deferred
from gateway.store import markers
from gateway.store.sqlite import SqliteRepository

ANN = person()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_uids_and_uidvalidity_come_back(bench: Bench) -> None:
    uids = [bench.deliver(ANN, BODY + b"%d\n" % number) for number in range(5)]
    before, messages = bench.inbox(ANN)
    (bench.maildir(ANN) / "cur" / f"{messages[1].name}:2,").unlink()
    bench.lose_index()
    after, found = bench.inbox(ANN)
    assert after.uidvalidity == before.uidvalidity
    assert [row.uid for row in found] == [uid for uid in uids if uid != messages[1].uid]
    assert [row.name for row in found] == [row.name for row in messages if row.uid != messages[1].uid]
    assert [bench.stores.read(ANN.id, after, row) for row in found][-1] == BODY + b"4\n"
    assert after.uidnext > before.uidnext
    assert after.highestmodseq > before.highestmodseq
    assert bench.deliver(ANN) >= before.uidnext
    account = bench.repository.account(ANN.id)
    assert account is not None
    assert account.used_messages == 5


def test_a_uid_that_was_expunged_last_is_not_given_again(bench: Bench) -> None:
    bench.deliver(ANN)
    highest = bench.deliver(ANN)
    _, messages = bench.inbox(ANN)
    (bench.maildir(ANN) / "cur" / f"{messages[1].name}:2,").unlink()
    bench.lose_index()
    assert bench.deliver(ANN) > highest


def test_another_mailboxs_store_is_not_opened(bench: Bench) -> None:
    bench.deliver(ANN)
    markers.write_account(str(bench.maildir(ANN)), "t:other", ["ann@example.com"])
    bench.lose_index()
    with pytest.raises(Deferred) as caught:
        bench.deliver(ANN)
    assert caught.value.condition is Condition.ACCOUNT_REBIND


def test_a_folder_of_another_program_gets_a_row(bench: Bench) -> None:
    bench.deliver(ANN)
    folder = bench.maildir(ANN) / ".Work.2026"
    for place in ("tmp", "new", "cur"):
        (folder / place).mkdir(parents=True)
    (folder / "cur" / "1000.M1P1.far,S=40:2,FS").write_bytes(BODY)
    row, messages = bench.open(ANN, "Work/2026")
    assert [(m.flags, m.name, m.size) for m in messages] == [("FS", "1000.M1P1.far,S=40", len(BODY))]
    bench.lose_index()
    again, found = bench.open(ANN, "Work/2026")
    assert (again.id, again.uidvalidity) == (row.id, row.uidvalidity)
    assert [(m.flags, m.name) for m in found] == [("FS", "1000.M1P1.far,S=40")]


def test_a_volume_that_is_not_mounted_takes_nothing(bench: Bench) -> None:
    (bench.volume / markers.STORE).unlink()
    with pytest.raises(Deferred) as caught:
        bench.deliver(ANN)
    assert caught.value.condition is Condition.STORE_UNAVAILABLE
    assert list(bench.volume.iterdir()) == []


def test_a_marker_of_a_newer_version_is_not_touched(bench: Bench) -> None:
    bench.deliver(ANN)
    marker = bench.maildir(ANN) / markers.ACCOUNT
    marker.write_bytes(marker.read_bytes().replace(b'"version":1', b'"version":9'))
    bench.lose_index()
    with pytest.raises(Deferred, match="newer version"):
        bench.deliver(ANN)


@pytest.mark.parametrize("pattern", ["*", "[0-9a-f][0-9a-f].db"], ids=["all", "not the logs"])
def test_an_index_removed_while_it_is_used(bench: Bench, pattern: str) -> None:
    """Nothing is written where nobody would see it; who is told starts anew, and finds everything again."""
    told: list[int] = []
    used = SqliteRepository(bench.path / "index", on_lost=lambda: told.append(1))
    uids = [bench.deliver(ANN, BODY + b"%d\n" % number) for number in range(3)]
    before, messages = bench.inbox(ANN)
    used.store_flags(ANN.id, before.id, uids[:1], "add", "F", "")
    bench.stores.rebuild(ANN.id)  # which notes the flags
    for file in (bench.path / "index").glob(pattern):
        file.unlink()
    with pytest.raises(Deferred):
        used.store_flags(ANN.id, before.id, uids, "add", "S", "")
    assert bench.deliver(ANN, BODY + b"later\n") == 0  # into new/, as whenever the index is down
    eventually(lambda: told)
    used.close()
    bench.repository.close()
    bench.start()
    after, found = bench.inbox(ANN)
    assert (after.uidvalidity, after.id) == (before.uidvalidity, before.id)
    assert [(row.uid, row.name) for row in found[:3]] == [(row.uid, row.name) for row in messages]
    assert [row.flags for row in found] == ["F", "", "", ""]
    assert bench.stores.read(ANN.id, after, found[3]) == BODY + b"later\n"
    assert found[3].uid >= before.uidnext
    assert told == [1]
