"""Files of other programs, and what a crash leaves between a file and its row."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from store_bench import BODY, Bench, person

from directory.model import Deferred
from gateway.store import markers
from gateway.store.layout import unique_part
from gateway.store.repository import NewMessage, Placement

ANN = person()
WIRE = len(BODY) + BODY.count(b"\n")


@pytest.fixture(params=["sqlite", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    made = Bench(tmp_path, request.param)
    made.stores.open(ANN)
    return made


def put(bench: Bench, name: str, body: bytes = BODY, place: str = "new", mtime: float = 1_000_000_000.0) -> Path:
    path = bench.maildir(ANN) / place / name
    path.write_bytes(body)
    os.utime(path, (mtime, mtime))
    return path


@pytest.mark.parametrize(
    ("name", "flags", "keywords"),
    [
        ("1000.P1.far", "", ""),  # qmail, procmail
        ("1000.M20046P2137V08I1B.far,S=4321", "", ""),  # another size than it has
        (f"1000.M1P2.far,S={len(BODY)},W={WIRE}:2,RS", "RS", ""),  # Dovecot
        ("1000.M1P2.far:2,FSab", "FS", ""),  # Dovecot's keywords
        ("1000.M1P2.far:2,PT", "T", "$Forwarded"),
        ("1000.M1P2.far:1,x", "", ""),
    ],
)
def test_names_of_other_programs(bench: Bench, name: str, flags: str, keywords: str) -> None:
    for place in ("cur",) if ":" in name else ("cur", "new"):
        path = put(bench, name, place=place)
        row, (message,) = bench.inbox(ANN)
        assert (message.flags, message.keywords) == (flags, keywords)
        assert (message.size, message.crlf, message.internaldate) == (len(BODY), WIRE, 1_000_000_000.0)
        assert bench.stores.read(ANN.id, row, message) == BODY
        (file,) = bench.files(ANN)["cur"]
        assert place == "new" or file == path.name or ":2," not in name
        assert bench.files(ANN)["new"] == []
        assert bench.inbox(ANN)[1] == [message]
        bench.stores.expunge(ANN, row, [message.uid])
        assert bench.files(ANN)["cur"] == []


def test_a_file_with_crlf_is_read_with_lf_and_counted_right(bench: Bench) -> None:
    wire = BODY.replace(b"\n", b"\r\n")
    put(bench, "1000.P1.far", wire)
    put(bench, f"1001.P1.far,S={len(wire)},W={len(wire)}:2,S", wire, "cur")
    row, messages = bench.inbox(ANN)
    assert [(m.size, m.crlf) for m in messages] == [(len(wire), len(wire))] * 2
    assert [bench.stores.read(ANN.id, row, m) for m in messages] == [BODY] * 2


def test_new_files_come_in_the_order_of_their_dates(bench: Bench) -> None:
    put(bench, "b.far", mtime=2.0)
    put(bench, "a.far", mtime=3.0)
    put(bench, "c.far", mtime=1.0)
    assert [m.ukey for m in bench.inbox(ANN)[1]] == ["c.far", "b.far", "a.far"]
    assert bench.changes[-1][:2] == (ANN.id, 1)


def test_names_beginning_with_a_dot_are_nobodys(bench: Bench) -> None:
    put(bench, ".nfs0000001", place="cur")
    put(bench, ".rsync.part", place="new")
    assert bench.inbox(ANN)[1] == []


def test_flags_in_names_are_deltas_against_the_letters_seen_last(bench: Bench) -> None:
    bench.deliver(ANN)
    row, (message,) = bench.inbox(ANN)
    bench.repository.store_flags(ANN.id, row.id, [1], "add", "F", "work")
    cur = bench.maildir(ANN) / "cur"
    (cur / f"{message.name}:2,").rename(cur / f"{message.name}:2,S")
    row, (changed,) = bench.inbox(ANN)
    assert (changed.flags, changed.keywords, changed.info) == ("FS", "work", "S")
    assert bench.changes[-1] == (ANN.id, 1, changed.modseq)
    bench.repository.store_flags(ANN.id, row.id, [1], "remove", "S", "")
    assert bench.inbox(ANN)[1][0].flags == "F"  # the name still says S: no change of theirs
    (cur / f"{message.name}:2,S").rename(cur / f"{message.name}:2,T")
    assert bench.inbox(ANN)[1][0].flags == "FT"


def test_a_removed_file_is_believed_at_the_second_look(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.deliver(ANN)
    bench.deliver(ANN)
    _, messages = bench.inbox(ANN)
    path = bench.maildir(ANN) / "cur" / f"{messages[0].name}:2,"
    path.unlink()
    assert len(bench.inbox(ANN)[1]) == 2
    assert len(bench.inbox(ANN)[1]) == 2
    monkeypatch.setattr("gateway.store.adopting.MISSING_SECONDS", 0.0)
    row, (left,) = bench.inbox(ANN)
    assert left.uid == 2
    assert bench.changes[-1] == (ANN.id, 1, row.highestmodseq)
    assert bench.repository.expunged(ANN.id, 1, 0)[0][0] == 1
    path.write_bytes(BODY)  # brought back from a backup: a new message
    assert [m.uid for m in bench.inbox(ANN)[1]] == [2, 3]


def test_an_empty_mount_point_removes_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.deliver(ANN)
    maildir = bench.maildir(ANN)
    monkeypatch.setattr("gateway.store.adopting.MISSING_SECONDS", 0.0)
    maildir.rename(maildir.with_name("away"))
    for place in ("tmp", "new", "cur"):
        (maildir / place).mkdir(parents=True)
    for _ in range(3):
        assert len(bench.inbox(ANN)[1]) == 1


def test_a_delivery_that_was_cut_off_before_its_name_is_finished(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("tmp", "new"):
        put(bench, f"{place}.far", place=place)
        bench.repository.place([Placement(ANN.id, 1, NewMessage(f"{place}.far", len(BODY), WIRE, 5.0))])
    row, messages = bench.inbox(ANN)
    assert [m.ukey for m in messages] == ["tmp.far", "new.far"]
    assert [bench.stores.read(ANN.id, row, m) for m in messages] == [BODY, BODY]
    assert bench.files(ANN)["tmp"] == ["tmp.far"]  # its delivery may still be at work
    monkeypatch.setattr("gateway.store.adopting.UNFINISHED_SECONDS", -1.0)
    assert bench.inbox(ANN)[1] == messages
    assert bench.files(ANN)["tmp"] == bench.files(ANN)["new"] == []
    assert bench.files(ANN)["cur"] == sorted(f"{m.name}:2," for m in messages)


def test_an_expunge_that_was_cut_off_is_finished(bench: Bench) -> None:
    bench.deliver(ANN)
    bench.deliver(ANN)
    row, _ = bench.inbox(ANN)
    bench.repository.expunge(ANN.id, row.id, [1])
    bench.stores._looks.clear()  # as after a restart
    assert [m.uid for m in bench.inbox(ANN)[1]] == [2]
    assert len(bench.files(ANN)["cur"]) == 1
    assert bench.repository.leftovers(ANN.id, 1) == []


def test_flags_noted_beside_the_messages_come_back(bench: Bench) -> None:
    path = put(bench, "1000.far:2,F", place="cur")
    folder = str(bench.maildir(ANN))
    row, _ = bench.inbox(ANN)
    changed, _ = bench.repository.store_flags(ANN.id, 1, [1], "replace", "S", "work")
    markers.append_mailbox(folder, row, changed)
    bench.repository.expunge(ANN.id, 1, [1])
    bench.repository.files_gone(ANN.id, 1, [1])
    bench.stores._looks.clear()
    assert path.exists()
    _row, (message,) = bench.inbox(ANN)
    assert (message.flags, message.keywords) == ("S", "work")
    with open(os.path.join(folder, markers.MAILBOX), "ab") as file:
        file.write(b"1000.far\tT")  # a power cut left half a line
    assert markers.read_flags(folder) == {"1000.far": ("S", "work")}


def test_a_quiet_mailbox_is_not_listed_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.deliver(ANN)
    past = time.time() - 100
    for place in ("new", "cur"):
        os.utime(bench.maildir(ANN) / place, (past, past))
    assert len(bench.inbox(ANN)[1]) == 1
    monkeypatch.setattr(os, "listdir", lambda *_: pytest.fail("listed"))
    assert len(bench.inbox(ANN)[1]) == 1
    monkeypatch.undo()
    put(bench, "1000.far")
    assert len(bench.inbox(ANN)[1]) == 2


def test_many_files_at_once(bench: Bench) -> None:
    for number in range(300):
        put(bench, f"{number}.far,S={len(BODY)},W={WIRE}", place="cur" if number % 2 else "new", mtime=float(number))
    _row, messages = bench.inbox(ANN)
    assert [m.internaldate for m in messages] == [float(n) for n in range(300)]
    assert [m.uid for m in messages] == list(range(1, 301))
    account = bench.repository.account(ANN.id)
    assert account is not None
    assert (account.used_messages, account.used_bytes) == (300, 300 * len(BODY))


@pytest.mark.parametrize(
    ("file", "unique"),
    [
        ("1.a.far", "1.a.far"),
        ("1.a.far,S=2,W=3:2,S", "1.a.far"),
        ("1.a.far:2,S", "1.a.far"),
        ("1.a.far:2,S,x:y", "1.a.far"),
        (",S=2", ""),
        (":2,", ""),
    ],
)
def test_the_unique_part_ends_at_the_first_comma_or_colon(file: str, unique: str) -> None:
    assert unique_part(file) == unique


def test_a_file_is_read_whole_whatever_its_size_by_the_index(bench: Bench) -> None:
    for _ in range(3):
        bench.deliver(ANN)
    row, messages = bench.inbox(ANN)
    paths = [bench.maildir(ANN) / "cur" / f"{message.name}:2," for message in messages]
    paths[0].write_bytes(BODY + b"more\n")
    paths[1].write_bytes(BODY[:5])
    paths[2].write_bytes(BODY.replace(b"\n", b"\r\n"))
    assert [bench.stores.read(ANN.id, row, m) for m in messages] == [BODY + b"more\n", BODY[:5], BODY]
    paths[0].rename(paths[0].with_name(f"{messages[0].name}:2,S"))
    assert bench.stores.read(ANN.id, row, messages[0]) == BODY + b"more\n"
    paths[1].unlink()
    with pytest.raises(FileNotFoundError):
        bench.stores.read(ANN.id, row, messages[1])
    paths[2].unlink()
    paths[2].mkdir()
    with pytest.raises(Deferred):
        bench.stores.read(ANN.id, row, messages[2])
