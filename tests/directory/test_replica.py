"""The copy itself: a full disk, a newer format, a killed writer, what makes readers forget."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from directory import replica_environment
from directory.follow import Follower
from directory.model import Deferred
from directory.profile import Profile
from directory.profile_text import ProfileText
from directory.raw import RawEntry
from directory.replica import ReplicaReader
from directory.replica_writer import ReplicaWriter
from directory.settings import DirectorySettings
from directory.tracker.port import Batch, Change, Event, Fresh, RefreshBegun, RefreshDone
from directory.view import View

NATIVE = Profile.load("native")
DOMAIN = RawEntry("x:d", "cn=d,o=x", {"objectclass": [b"gatepostDomain"], "gatepostdomainname": [b"example.com"]})


def person(number: int, **more: bytes) -> RawEntry:
    values = {
        "objectclass": [b"gatepostAccount"],
        "uid": [b"u%d" % number],
        "gatepostaddress": [b"u%d@example.com" % number],
    }
    return RawEntry(f"x:{number}", f"uid=u{number},o=x", values | {name: [value] for name, value in more.items()})


class Scripted:
    """A tracker that tells a first refresh of `count` people, then proves freshness."""

    name, server = "scripted", "test"

    def __init__(self, count: int) -> None:
        self._count = count
        self._stop = threading.Event()

    def events(self, cookie: bytes | None) -> Iterator[Event]:
        yield RefreshBegun()
        yield Batch((DOMAIN, *(person(n, description=b"x" * 4000) for n in range(self._count))))
        yield RefreshDone(b"c", by_presence=True)
        while not self._stop.wait(0.05):
            yield Fresh(time.time())

    def stop(self) -> None:
        self._stop.set()

    interrupt = stop

    def compare_within(self, seconds: float) -> None:
        pass


def run(writer: ReplicaWriter, tracker: Scripted, until: object) -> list[str]:
    reports: list[str] = []
    stop = threading.Event()
    follower = Follower(tracker, writer, lambda level, event, **facts: reports.append(f"{level} {event} {facts}"))
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    for _ in range(500):
        if until():  # type: ignore[operator]
            break
        time.sleep(0.02)
    stop.set()
    tracker.stop()
    thread.join(10)
    return reports


def test_a_full_disk_is_trouble_and_the_copy_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_environment, "MAP_SIZE", 1 << 20)
    writer = ReplicaWriter(tmp_path, NATIVE)
    run(writer, Scripted(3), lambda: writer.reader().freshness().fresh_at)
    assert writer.reader().freshness().absence_is_final(time.time())
    reports = run(writer, Scripted(2000), lambda: writer.reader().freshness().trouble)
    assert any("replica-trouble" in line for line in reports) and not any("bug" in line for line in reports)
    assert writer.reader().get("x:2") is not None and "local copy" in writer.reader().freshness().trouble
    writer.close()


def test_a_newer_format_is_refused_and_an_older_one_is_rebuilt(tmp_path: Path) -> None:
    writer = ReplicaWriter(tmp_path, NATIVE)
    writer.begin_refresh()
    writer.stage([DOMAIN, person(1)])
    writer.finish_refresh(b"c", by_presence=True)
    writer.close()

    def set_format(value: bytes) -> None:
        env = lmdb.open(str(tmp_path), max_dbs=20)
        with env.begin(write=True) as txn:
            txn.put(b"format", value, db=env.open_db(b"meta", txn))
        env.close()

    set_format(b"99")
    with pytest.raises(Deferred, match="newer version"):
        ReplicaWriter(tmp_path, NATIVE)
    set_format(b"1")
    rebuilt = ReplicaWriter(tmp_path, NATIVE)
    assert (
        rebuilt.cookie() is None and rebuilt.reader().get("x:1") is None and not rebuilt.reader().freshness().complete
    )
    rebuilt.close()


def test_another_profile_finds_the_same_entries_under_its_own_keys(tmp_path: Path) -> None:
    writer = ReplicaWriter(tmp_path, NATIVE)
    writer.begin_refresh()
    writer.stage([DOMAIN, person(1, objectclass=b"inetOrgPerson", mail=b"other@example.com")])
    writer.finish_refresh(b"c", by_presence=True)
    assert writer.reader().ids("address", "other@example.com") == ()
    writer.close()
    inetorg = Profile.of(DirectorySettings(profile="inetorg", domains=("example.com",)))
    again = ReplicaWriter(tmp_path, inetorg)
    again.proven_fresh(1000.0)
    old, new = View(again.reader(), NATIVE), View(again.reader(), inetorg)
    assert new.freshness().absence_is_final(1000.0)
    # a worker that still has the other profile finds nothing, and knows that this proves nothing
    assert not old.freshness().absence_is_final(1000.0) and "another profile" in old.freshness().trouble
    assert again.reader().ids("address", "other@example.com") == ("x:1",) and again.counts() == {"accounts": 1}
    again.close()


def test_no_copy_yet_is_trouble_not_emptiness(tmp_path: Path) -> None:
    with pytest.raises(Deferred):
        ReplicaReader.open(tmp_path / "nowhere")


def test_bookkeeping_of_the_server_makes_nobody_forget(tmp_path: Path) -> None:
    writer = ReplicaWriter(tmp_path, NATIVE)
    reader = writer.reader()
    writer.begin_refresh()
    writer.stage([DOMAIN, person(1, entrycsn=b"1")])
    writer.finish_refresh(b"c", by_presence=True)
    before = reader.generation()
    writer.apply([Change("x:1", person(1, entrycsn=b"2", pwdfailuretime=b"20260101000000Z"))])
    assert reader.generation() == before
    entry = reader.get("x:1")
    assert entry is not None and entry.texts("entrycsn") == ["2"]
    writer.apply([Change("x:1", person(1, entrycsn=b"3", gatepostquota=b"5"))])
    assert reader.generation() > before
    writer.close()
    locked = ProfileText.load(
        "native", {"account": {"map": {"status": {"attr": "pwdFailureTime", "values": {"*": "noaccess"}}}}}
    )
    asking = ReplicaWriter(tmp_path, Profile(locked))
    reader, before = asking.reader(), asking.reader().generation()
    asking.apply([Change("x:1", person(1, entrycsn=b"4", gatepostquota=b"5", pwdfailuretime=b"20260101000000Z"))])
    assert reader.generation() > before  # a profile that makes use of it wants to know
    asking.close()


_WRITER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_replica import NATIVE, DOMAIN, person
from directory.replica_writer import ReplicaWriter
from directory.tracker.port import Change
writer = ReplicaWriter(Path(sys.argv[1]), NATIVE)
writer.begin_refresh()
writer.stage([DOMAIN])
writer.finish_refresh(b"c", by_presence=True)
number = 0
while True:
    writer.apply([Change(f"x:{{number}}", person(number))], b"%d" % number)
    print(number, flush=True)
    number += 1
"""


def test_a_killed_writer_loses_nothing_that_it_had_applied(tmp_path: Path) -> None:
    script = _WRITER.format(tests=str(Path(__file__).parent))
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    last = -1
    for line in child.stdout:
        last = int(line)
        if last == 60:
            os.kill(child.pid, signal.SIGKILL)
            break
    last = max([last, *(int(line) for line in child.stdout.read().split())])
    child.stdout.close()
    child.wait()
    writer = ReplicaWriter(tmp_path, NATIVE)
    reader = writer.reader()
    assert all(reader.ids("address", f"u{n}@example.com") == (f"x:{n}",) for n in range(last + 1))
    cookie = writer.cookie()
    assert cookie is not None and int(cookie) >= last
    assert writer.counts()["accounts"] == int(cookie) + 1
    writer.close()


_READER = """
import sys, time
from pathlib import Path
from directory.replica import ReplicaReader
reader = ReplicaReader.open(Path(sys.argv[1]))
held = reader._db.env.begin()
print("reads", flush=True)
time.sleep(60)
"""


def test_the_slot_of_a_killed_reader_is_cleared(tmp_path: Path) -> None:
    writer = ReplicaWriter(tmp_path, NATIVE)
    child = subprocess.Popen([sys.executable, "-c", _READER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "reads\n"
    assert writer.reader_check() == 0
    child.kill()
    child.wait()
    child.stdout.close()
    assert writer.reader_check() == 1 and writer.reader_check() == 0
    writer.close()


def test_secrets_and_pictures_never_reach_the_copy(tmp_path: Path) -> None:
    writer = ReplicaWriter(tmp_path, NATIVE)
    hidden = {
        "userPassword": [b"secret"], "unicodePwd": [b"secret"], "gatepostScramKey": [b"secret"], "jpegPhoto": [b"secret"],
        "userCertificate;binary": [b"secret"], "pwdHistory": [b"secret"], "description": [b"kept", b"x" * 70_000],
    }  # fmt: skip
    entry = RawEntry("x:1", "uid=a,o=x", {"objectClass": [b"gatepostAccount"], **hidden})
    writer.begin_refresh()
    writer.stage([DOMAIN, entry])
    writer.finish_refresh(None, by_presence=True)
    writer.apply([Change("x:2", RawEntry("x:2", "uid=b,o=x", entry.attributes))])
    for entry_id in ("x:1", "x:2"):
        kept = writer.reader().get(entry_id)
        assert kept is not None and kept.attributes == {"objectclass": [b"gatepostAccount"], "description": [b"kept"]}
    writer.close()
    assert b"secret" not in (tmp_path / "data.mdb").read_bytes()
