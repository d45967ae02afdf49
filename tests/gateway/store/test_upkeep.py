"""The round through all stores: what came without notice, what is noted beside the messages, what is tidied."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from store_bench import BODY, Bench, person

from directory.model import Deferred
from gateway.service.pools import Pools
from gateway.service.upkeep import tend_all
from gateway.store import markers
from gateway.store.repository import MailboxRow
from gateway.store.settings import StoreSettings

ANN, BOB = person(), person("bob")


@pytest.fixture(params=["sqlite", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return Bench(tmp_path, request.param)


def tend(bench: Bench) -> None:
    bench.stores.tend(ANN.id, str(bench.maildir(ANN)))


def flag(bench: Bench, uid: int, letters: str, words: str = "") -> None:
    bench.repository.store_flags(ANN.id, 1, [uid], "replace", letters, words)


def test_flags_outlive_the_index(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for _ in range(4):
        bench.deliver(ANN)
    work = bench.stores.create_mailbox(ANN, "Work", "\\Archive")
    flag(bench, 1, "S", "work $Forwarded")
    flag(bench, 2, "T")
    tend(bench)
    flag(bench, 2, "")
    flag(bench, 3, "F")
    tend(bench)
    before, messages = bench.inbox(ANN)
    bench.lose_index()
    after, found = bench.inbox(ANN)
    assert [(m.uid, m.flags, m.keywords) for m in found] == [(m.uid, m.flags, m.keywords) for m in messages]
    assert after.uidvalidity == before.uidvalidity
    assert after.highestmodseq > before.highestmodseq
    assert bench.open(ANN, "Work")[0].special_use == "\\Archive"
    assert bench.open(ANN, "Work")[0].id == work.id


def test_numbers_that_were_given_and_expunged_are_noted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for _ in range(3):
        bench.deliver(ANN)
    bench.stores.expunge(ANN, bench.inbox(ANN)[0], [1, 2, 3])
    tend(bench)
    facts = markers.read_mailbox(str(bench.maildir(ANN)))
    assert facts is not None
    assert facts["uidnext"] == 4
    bench.lose_index()
    assert bench.deliver(ANN) > 3


def test_mail_that_only_came_needs_no_note(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = bench.maildir(ANN) / markers.MAILBOX
    before = marker.read_bytes()
    for _ in range(2):
        bench.deliver(ANN)
        tend(bench)
        assert marker.read_bytes() == before
    bench.stores._noted.clear()  # as after a restart
    tend(bench)
    assert marker.read_bytes() == before
    flag(bench, 1, "F")
    tend(bench)
    facts = markers.read_mailbox(str(bench.maildir(ANN)))
    assert facts is not None
    assert facts["uidnext"] == 3
    assert sorted(flags for flags, _ in markers.read_flags(str(bench.maildir(ANN))).values()) == ["", "F"]
    monkeypatch.setattr("gateway.store.upkeep.UNNOTED", 1)
    before = marker.read_bytes()
    for _ in range(2):
        assert marker.read_bytes() == before
        bench.deliver(ANN)
        tend(bench)
    facts = markers.read_mailbox(str(bench.maildir(ANN)))
    assert facts is not None
    assert facts["uidnext"] == 5


def test_nothing_is_written_when_nothing_has_changed(bench: Bench) -> None:
    bench.deliver(ANN)
    tend(bench)
    marker = bench.maildir(ANN) / markers.MAILBOX
    before = marker.stat()
    tend(bench)
    bench.stores._noted.clear()  # as after a restart
    tend(bench)
    assert marker.stat() == before


def test_what_is_noted_is_written_anew_before_it_grows_without_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markers, "BLOAT_BYTES", 1_000)
    bench.deliver(ANN)
    sizes = []
    for number in range(60):
        flag(bench, 1, "S" if number % 2 else "", "work" if number % 2 else "")
        tend(bench)
        sizes.append((bench.maildir(ANN) / markers.MAILBOX).stat().st_size)
    assert max(sizes) < 1_500
    assert markers.read_flags(str(bench.maildir(ANN)))[bench.inbox(ANN)[1][0].ukey] == ("S", "work")


def test_half_a_line_of_a_power_cut_hurts_nothing(bench: Bench) -> None:
    bench.deliver(ANN)
    tend(bench)
    folder = str(bench.maildir(ANN))
    with open(os.path.join(folder, markers.MAILBOX), "ab") as file:
        file.write(b'{"version":1,"id":7')
    flag(bench, 1, "F")
    tend(bench)
    ukey = bench.inbox(ANN)[1][0].ukey
    assert markers.read_flags(folder)[ukey] == ("F", "")
    facts = markers.read_mailbox(folder)
    assert facts is not None
    assert facts["id"] == 1


def test_files_in_new_are_taken_in(bench: Bench) -> None:
    (bench.maildir(ANN) / "new" / "1000.far").write_bytes(BODY)
    tend(bench)
    assert bench.changes[-1][:2] == (ANN.id, 1)
    assert bench.files(ANN)["new"] == []


def test_tmp_is_cleared_after_36_hours_but_not_of_what_has_a_row(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp = bench.maildir(ANN) / "tmp"
    (tmp / "dead").write_bytes(BODY)
    tend(bench)
    assert bench.files(ANN)["tmp"] == ["dead"]
    monkeypatch.setattr("gateway.store.upkeep.TMP_SECONDS", -60.0)
    tend(bench)
    assert bench.files(ANN)["tmp"] == []


def test_a_removal_that_was_cut_off_is_finished(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    row = bench.stores.create_mailbox(ANN, "Work")
    bench.stores.append(ANN, "Work", [BODY])
    maildir = bench.maildir(ANN)
    (maildir / ".Work").rename(maildir / f"gatepost-removed-{row.id}-x")
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 100)
    tend(bench)
    assert bench.repository.mailbox(ANN.id, "Work") is None
    assert not [name for name in os.listdir(maildir) if "removed" in name]


def test_old_tombstones_go(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.deliver(ANN)
    bench.stores.expunge(ANN, bench.inbox(ANN)[0], [1])
    tend(bench)
    assert len(bench.repository.expunged(ANN.id, 1, 0)) == 1
    bench.deliver(ANN)
    monkeypatch.setattr("gateway.store.upkeep.TOMBSTONE_SECONDS", -60.0)
    tend(bench)
    assert bench.repository.expunged(ANN.id, 1, 0) == []
    assert bench.repository.tombstone_floor(ANN.id, 1) > 0


def test_a_round_goes_on_past_trouble(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for holder in (ANN, BOB):
        bench.deliver(holder)
        (bench.maildir(holder) / "new" / "1000.far").write_bytes(BODY)
    bench.maildir(ANN).rename(bench.maildir(ANN).with_name("away"))
    monkeypatch.setattr("gateway.service.upkeep.ACCOUNTS", 1)
    directory: Any = SimpleNamespace(
        by_id=lambda entry: {ANN.id: ANN, BOB.id: BOB}[entry], search=lambda *_: iter([ANN, BOB])
    )
    settings: Any = SimpleNamespace(directory=SimpleNamespace(base="o=test"))

    async def main() -> tuple[int, list[Deferred]]:
        pools = Pools(StoreSettings())
        host: Any = SimpleNamespace(
            stores=bench.stores, directory=directory, settings=settings, in_pool=lambda w, v="": pools.of(v).run(w)
        )
        answer = await tend_all(host)
        pools.shutdown()
        return answer

    tended, troubles = asyncio.run(main())
    assert (tended, len(troubles)) == (1, 1)
    assert bench.files(BOB)["new"] == []


def test_accounts_are_listed_in_portions(bench: Bench) -> None:
    for name in ("a", "b", "c", "d", "e"):
        bench.repository.create_account(name, f"/{name}", 1.0)
    found: list[str] = []
    while rows := bench.repository.accounts(found[-1] if found else "", 2):
        found += [row.account for row in rows]
    assert found == ["a", "b", "c", "d", "e"]


def test_a_special_use_that_changes_is_noted(bench: Bench) -> None:
    bench.stores.create_mailbox(ANN, "Work")
    bench.stores.set_special_use(ANN, "Work", "\\Archive")
    facts = markers.read_mailbox(str(bench.maildir(ANN) / ".Work"))
    assert facts is not None
    assert facts["special_use"] == "\\Archive"
    row = bench.repository.mailbox(ANN.id, "Work")
    assert isinstance(row, MailboxRow)
    assert row.special_use == "\\Archive"


def test_a_store_is_removed_whole_and_nobody_elses(bench: Bench) -> None:
    bench.deliver(ANN)
    bench.deliver(BOB)
    bench.stores.create_mailbox(ANN, "Work", "")
    row = bench.repository.account(ANN.id)
    assert row is not None
    bench.stores.remove_store(ANN.id, ANN.addresses)
    assert not os.path.exists(row.path) and not os.path.exists(os.path.dirname(row.path))
    assert bench.repository.account(ANN.id) is None
    assert bench.repository.owners(ANN.addresses[0], 0.0) == []
    assert len(bench.inbox(BOB)[1]) == 1 and bench.repository.owners(BOB.addresses[0], 0.0) == [BOB.id]
    bench.stores.remove_store(ANN.id, ANN.addresses)  # again, as behind a crash
    bench.deliver(ANN)
    assert len(bench.inbox(ANN)[1]) == 1


def test_a_whole_store_is_removed_in_the_end_though_it_was_cut_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.deliver(ANN)
    row = bench.repository.account(ANN.id)
    assert row is not None

    removed: list[str] = []

    def cut(path: str) -> None:
        if removed:
            raise OSError("cut")
        removed.append(path)
        really(path)

    really = shutil.rmtree
    with monkeypatch.context() as patched:
        patched.setattr("gateway.store.upkeep.shutil.rmtree", cut)
        with pytest.raises(Deferred):
            bench.stores.remove_store(ANN.id, ANN.addresses)
    assert bench.repository.account(ANN.id) is not None, "the index still names the files"
    assert not os.path.exists(removed[0])
    assert markers.read(os.path.join(row.path, markers.ACCOUNT)), "what is left tells whose it was"
    bench.stores.remove_store(ANN.id, ANN.addresses)
    assert not os.path.exists(row.path) and bench.repository.account(ANN.id) is None


def test_a_store_is_not_forgotten_while_its_volume_is_not_mounted(bench: Bench) -> None:
    bench.deliver(ANN)
    away = bench.volume.rename(bench.path / "away")
    bench.volume.mkdir()
    with pytest.raises(Deferred):
        bench.stores.remove_store(ANN.id, ANN.addresses)
    bench.volume.rmdir()
    away.rename(bench.volume)
    assert len(bench.inbox(ANN)[1]) == 1
