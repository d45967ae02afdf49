"""The deletion brake: on the replica, without a server."""

from __future__ import annotations

from pathlib import Path

from directory.profile import Profile
from directory.raw import RawEntry
from directory.replica_writer import ReplicaWriter
from directory.tracker.port import Change


def person(number: int) -> RawEntry:
    address = f"u{number}@example.com".encode()
    return RawEntry(
        f"x:{number}", f"uid=u{number},o=x", {"objectclass": [b"gatepostAccount"], "gatepostaddress": [address]}
    )


DOMAIN = RawEntry(
    "x:d", "cn=example.com,o=x", {"objectclass": [b"gatepostDomain"], "gatepostdomainname": [b"example.com"]}
)


def filled(path: Path, people: int, clock: list[float]) -> ReplicaWriter:
    writer = ReplicaWriter(path, Profile.load("native"), scope="s", now=lambda: clock[0])
    refresh(writer, [DOMAIN, *map(person, range(people))])
    return writer


def refresh(writer: ReplicaWriter, entries: list[RawEntry]) -> None:
    writer.begin_refresh()
    writer.stage(entries)
    writer.finish_refresh(b"c", by_presence=True)


def test_a_refresh_that_hides_everybody_removes_nobody_and_their_return_ends_it(tmp_path: Path) -> None:
    writer = filled(tmp_path, 30, [0.0])
    reader = writer.reader()
    refresh(writer, [DOMAIN])
    assert "30 of 30 accounts" in reader.freshness().braked
    assert reader.held("x:7") and reader.get("x:7") is not None and not reader.held("x:d")
    refresh(writer, [DOMAIN, *map(person, range(30))])
    assert reader.freshness().braked == "" and not reader.held("x:7")


def test_accepted_deletions_go(tmp_path: Path) -> None:
    writer = filled(tmp_path, 30, [0.0])
    refresh(writer, [DOMAIN, person(0)])
    assert writer.accept_deletions() == 29
    assert writer.reader().get("x:7") is None and writer.reader().freshness().braked == ""


def test_live_deletions_within_ten_minutes_are_undone_together(tmp_path: Path) -> None:
    clock = [0.0]
    writer = filled(tmp_path, 100, clock)
    for number in range(20):
        writer.apply([Change(f"x:{number}", None)])
    assert writer.reader().get("x:3") is None and not writer.reader().freshness().braked
    writer.apply([Change("x:20", None)])
    assert writer.reader().held("x:3") and writer.reader().held("x:20") and writer.reader().freshness().braked


def test_slow_deletions_go(tmp_path: Path) -> None:
    clock = [0.0]
    writer = filled(tmp_path, 100, clock)
    for number in range(40):
        clock[0] += 61
        writer.apply([Change(f"x:{number}", None)])
    assert not writer.reader().freshness().braked and writer.counts()["accounts"] == 60


def test_a_domain_with_addresses_stays(tmp_path: Path) -> None:
    writer = filled(tmp_path, 2, [0.0])
    writer.apply([Change("x:d", None)])
    assert "example.com" in writer.reader().freshness().braked and writer.reader().held("x:d")


def test_an_empty_first_copy_proves_nothing(tmp_path: Path) -> None:
    writer = ReplicaWriter(tmp_path, Profile.load("native"))
    refresh(writer, [])
    assert "no accounts" in writer.reader().freshness().braked


def test_entries_of_the_self_test_come_and_go_uncounted(tmp_path: Path) -> None:
    clock = [0.0]
    writer = filled(tmp_path, 25, clock)
    for number in range(100, 130):
        name = f"zz-gatepost-selftest-{number}"
        values = {"objectclass": [b"gatepostAccount"], "gatepostaddress": [f"me@{name}.invalid".encode()]}
        writer.apply([Change(f"x:{number}", RawEntry(f"x:{number}", f"uid={name},o=x", values))])
        writer.apply([Change(f"x:{number}", None)])
        assert writer.reader().get(f"x:{number}") is None
    for number in range(20):  # and leave all of the room to others
        writer.apply([Change(f"x:{number}", None)])
    assert writer.reader().freshness().braked == ""
    writer.apply([Change("x:20", None)])
    assert "21 of 25 accounts" in writer.reader().freshness().braked
