"""A branch and an entry below it renamed at once, as one batch of changes: the entry ends under the branch's new name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from directory.profile import Profile
from directory.raw import RawEntry
from directory.replica import ReplicaWriter
from directory.tracker.port import Change

BRANCH, JANE, JOE = (f"x:7d4dd9b2-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))


def entry(entry_id: str, dn: str) -> Change:
    login = dn.partition(",")[0].partition("=")[2]
    kind = {"objectclass": [b"gatepostAccount"], "uid": [login.encode()]} if dn.startswith("uid") else {}
    return Change(entry_id, RawEntry(entry_id, dn, kind or {"objectclass": [b"organizationalUnit"]}))


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ReplicaWriter]:
    made = ReplicaWriter(tmp_path / "replica", Profile.load("native"))
    made.apply(
        [entry(BRANCH, "ou=people,o=x"), entry(JANE, "uid=jane,ou=people,o=x"), entry(JOE, "uid=joe,ou=people,o=x")]
    )
    yield made
    made.reader().close()


def names(writer: ReplicaWriter) -> dict[str, str]:
    reader = writer.reader()
    found = {entry_id: reader.get(entry_id) for entry_id in (JANE, JOE)}
    return {entry_id: raw.dn for entry_id, raw in found.items() if raw is not None}


def test_renamed_before_the_branch_moved(writer: ReplicaWriter) -> None:
    writer.apply([entry(JANE, "uid=jane.doe,ou=people,o=x"), entry(BRANCH, "ou=staff,o=x")])
    assert names(writer) == {JANE: "uid=jane.doe,ou=staff,o=x", JOE: "uid=joe,ou=staff,o=x"}


def test_renamed_after_the_branch_moved(writer: ReplicaWriter) -> None:
    writer.apply([entry(BRANCH, "ou=staff,o=x"), entry(JANE, "uid=jane.doe,ou=staff,o=x")])
    assert names(writer) == {JANE: "uid=jane.doe,ou=staff,o=x", JOE: "uid=joe,ou=staff,o=x"}


def test_renamed_before_and_after(writer: ReplicaWriter) -> None:
    writer.apply(
        [entry(JANE, "uid=jd,ou=people,o=x"), entry(BRANCH, "ou=staff,o=x"), entry(JANE, "uid=jane.doe,ou=staff,o=x")]
    )
    assert names(writer)[JANE] == "uid=jane.doe,ou=staff,o=x"
