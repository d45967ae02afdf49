"""Looks that read only what changed since the last one, and everything that makes them read every row."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from store_bench import BODY, Bench, person

from gateway.store.memory import MemoryRepository
from gateway.store.repository import NewMessage, Placement
from gateway.store.sqlite import SqliteRepository

ANN = person()
WIRE = len(BODY) + BODY.count(b"\n")


class Looks:
    """A store whose looks at every row are counted."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = bench
        self.full = 0
        for kind in (SqliteRepository, MemoryRepository):
            real = kind.files

            def files(repository: object, account: str, mailbox: int, real: Callable[..., object] = real) -> object:
                self.full += 1
                return real(repository, account, mailbox)

            monkeypatch.setattr(kind, "files", files)

    def uids(self) -> list[int]:
        return [message.uid for message in self.bench.inbox(ANN)[1]]

    def quick(self) -> list[int]:
        """The UIDs seen by a look that did not read every row."""
        before = self.full
        uids = self.uids()
        assert self.full == before, "every row was read"
        return uids

    def thorough(self) -> list[int]:
        """The UIDs seen by a look that read every row."""
        before = self.full
        uids = self.uids()
        assert self.full == before + 1, "not every row was read"
        return uids

    @property
    def cur(self) -> Path:
        return self.bench.maildir(ANN) / "cur"

    def path(self, uid: int) -> Path:
        message = self.bench.repository.message(ANN.id, 1, uid)
        assert message is not None
        return self.cur / f"{message.name}:2,{message.info}"


@pytest.fixture(params=["sqlite", "memory"])
def looks(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Looks:
    bench = Bench(tmp_path, request.param)
    for _ in range(3):
        bench.deliver(ANN)
    made = Looks(bench, monkeypatch)
    assert made.quick() == [1, 2, 3]  # the store was looked at when it was made
    return made


def test_own_deliveries_and_flags_make_no_look_read_every_row(looks: Looks) -> None:
    for uid in range(4, 8):
        looks.bench.deliver(ANN)
        assert looks.quick() == list(range(1, uid + 1))
        looks.bench.repository.store_flags(ANN.id, 1, [1, uid], "add", "S", "")
        assert looks.quick() == list(range(1, uid + 1))
    row, _ = looks.bench.inbox(ANN)
    assert (row.uidnext, row.highestmodseq) == (8, looks.bench.repository.mailbox(ANN.id, "INBOX").highestmodseq)  # type: ignore[union-attr]


@pytest.mark.parametrize("place", ["cur", "new"])
def test_a_file_of_another_program_between_own_deliveries_is_seen(looks: Looks, place: str) -> None:
    looks.bench.deliver(ANN)
    (looks.bench.maildir(ANN) / place / "1000.P1.far").write_bytes(BODY)
    looks.bench.deliver(ANN)
    assert looks.thorough() == [1, 2, 3, 4, 5, 6]
    assert looks.thorough() == [1, 2, 3, 4, 5, 6]  # an adoption agrees upon nothing yet
    assert looks.quick() == [1, 2, 3, 4, 5, 6]


def test_a_removal_hidden_by_an_own_delivery_is_noticed(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    looks.path(2).unlink()
    looks.bench.deliver(ANN)
    assert looks.thorough() == [1, 2, 3, 4]
    monkeypatch.setattr("gateway.store.adopting.MISSING_SECONDS", 0.0)
    assert looks.thorough() == [1, 3, 4]


def test_a_file_in_the_place_of_another_is_seen(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    looks.path(2).rename(looks.cur / "1000.P1.far:2,")  # as many files as before
    looks.bench.deliver(ANN)
    assert looks.thorough() == [1, 2, 3, 4, 5]
    monkeypatch.setattr("gateway.store.adopting.MISSING_SECONDS", 0.0)
    assert looks.thorough() == [1, 3, 4, 5]


def test_an_expunged_file_that_comes_back_under_its_old_name_is_seen(looks: Looks) -> None:
    path = looks.path(2)
    row, _ = looks.bench.inbox(ANN)
    looks.bench.stores.expunge(ANN, row, [2])
    path.write_bytes(BODY)
    looks.bench.deliver(ANN)
    assert looks.thorough() == [1, 3, 4, 5]


def test_a_tombstone_that_is_forgotten_hides_no_file(looks: Looks) -> None:
    path = looks.path(2)
    row, _ = looks.bench.inbox(ANN)
    looks.bench.stores.expunge(ANN, row, [2])
    assert looks.bench.repository.prune(ANN.id, 1, 0.0, 0) == 1
    path.write_bytes(BODY)
    assert looks.thorough() == [1, 3, 4]


def test_what_was_expunged_is_read_once(looks: Looks) -> None:
    row, _ = looks.bench.inbox(ANN)
    looks.bench.stores.expunge(ANN, row, [1, 3])
    assert looks.thorough() == [2]
    looks.bench.deliver(ANN)
    assert looks.quick() == [2, 4]


def test_letters_in_a_name_of_a_message_with_changed_flags_are_seen(looks: Looks) -> None:
    looks.bench.repository.store_flags(ANN.id, 1, [2], "add", "F", "")
    looks.path(2).rename(str(looks.path(2)) + "S")
    assert looks.thorough() == [1, 2, 3]
    message = looks.bench.repository.message(ANN.id, 1, 2)
    assert message is not None
    assert message.flags == "FS"


def test_a_name_that_another_process_took_over_and_lost_again_is_noticed(looks: Looks) -> None:
    name = looks.path(2).name.partition(":")[0]
    looks.bench.repository.take_info(ANN.id, 1, {2: (name, "S")})  # the file is back under its old name
    assert looks.thorough() == [1, 2, 3]
    message = looks.bench.repository.message(ANN.id, 1, 2)
    assert message is not None
    assert (message.info, message.flags) == ("", "")


def test_a_second_name_of_a_file_is_agreed_upon_never(looks: Looks) -> None:
    path = looks.path(1)
    os.link(path, str(path) + "S")
    for _ in range(2):
        looks.bench.deliver(ANN)
        looks.thorough()


def test_a_delivery_on_its_way_is_accounted_for(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = looks.bench.maildir(ANN) / "tmp" / "1000.far"
    temporary.write_bytes(BODY)
    looks.bench.repository.place([Placement(ANN.id, 1, NewMessage("1000.far", len(BODY), WIRE, 5.0))])
    for _ in range(2):
        looks.bench.deliver(ANN)
        looks.quick()
        assert temporary.exists()
    monkeypatch.setattr("gateway.store.adopting.UNFINISHED_SECONDS", -1.0)  # cut off by a crash
    assert looks.quick() == [1, 2, 3, 4, 5, 6]
    assert looks.path(4).exists()
    assert not temporary.exists()
    assert looks.quick() == [1, 2, 3, 4, 5, 6]


def test_a_message_without_a_file_is_missing_at_once(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    looks.bench.deliver(ANN)
    looks.path(4).unlink()
    assert looks.quick() == [1, 2, 3, 4]
    monkeypatch.setattr("gateway.store.adopting.MISSING_SECONDS", 0.0)
    assert looks.thorough() == [1, 2, 3]


def test_what_another_process_delivers_and_removes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Bench(tmp_path)
    there = Bench(tmp_path)
    here.deliver(ANN)
    looks = Looks(here, monkeypatch)
    assert looks.quick() == [1]
    there.deliver(ANN)
    assert looks.quick() == [1, 2]
    row, _ = there.inbox(ANN)
    there.stores.expunge(ANN, row, [1])
    there.deliver(ANN)
    assert looks.thorough() == [2, 3]
    there.deliver(ANN)
    assert looks.quick() == [2, 3, 4]
    there.stores.close()
    here.stores.close()


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
def test_an_index_that_is_lost_while_the_process_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bench = Bench(tmp_path, kind)
    uids = [bench.deliver(ANN) for _ in range(4)]
    looks = Looks(bench, monkeypatch)
    assert looks.quick() == uids
    kept = bench.stores._looks
    removed = looks.path(2)
    removed.unlink()
    bench.repository.close()
    for file in (tmp_path / "index").glob("*"):
        file.unlink()
    bench.start()
    bench.stores._looks.update(kept)  # what the process remembers outlives its index
    assert looks.uids() == [1, 3, 4]
    bench.deliver(ANN)
    removed.write_bytes(BODY)
    bench.deliver(ANN)
    assert len(looks.thorough()) == 6
    bench.stores.close()


def test_every_row_is_read_again_after_a_while(looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    looks.bench.deliver(ANN)
    assert looks.quick() == [1, 2, 3, 4]
    monkeypatch.setattr("gateway.store.agreed.AGREED_SECONDS", 0.0)
    assert looks.thorough() == [1, 2, 3, 4]
