"""A store in a file: exported, and imported with everything that mail programs keep for ever."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from store_bench import BODY, Bench, person

from directory.model import Deferred
from gateway.store import archive, importing, markers
from gateway.store.archive import ArchiveProblem
from gateway.store.errors import StoreHoldsMail
from gateway.store.layout import number_in

ANN = person()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "old").mkdir()
    return Bench(tmp_path / "old")


def filled(bench: Bench) -> Bench:
    """Mail in three mailboxes, with flags, keywords, dates, holes between the UIDs, rights and subscriptions."""
    stores = bench.stores
    for number in range(4):
        bench.deliver(ANN, BODY + b"%d\n" % number)
    inbox, rows = bench.inbox(ANN)
    stores.expunge(ANN, inbox, [rows[1].uid, rows[3].uid])
    bench.repository.store_flags(ANN.id, inbox.id, [rows[2].uid], "add", "FS", "$Forwarded later")
    stores.mailboxes(ANN)
    stores.create_mailbox(ANN, "Work/Ärzte v1.2")
    stores.append(ANN, "Work/Ärzte v1.2", [b"Subject: x\r\n\r\nhere\r\n"], "R", "urgent", internaldate=1_000_000.25)
    stores.annotate(
        ANN,
        "Work/Ärzte v1.2",
        lambda row: replace(row, acl='{"t:bob":"lrs"}', metadata='{"/private/comment":"hello"}'),
    )
    bench.repository.store_flags(ANN.id, bench.open(ANN, "Work/Ärzte v1.2")[0].id, [1], "add", "S", "", reader="t:bob")
    stores.subscribe(ANN, "Junk", False)
    # a file of another program, whose name tells no UID
    (bench.maildir(ANN) / "cur" / "123.M4P5_6.elsewhere:2,S").write_bytes(BODY)
    bench.inbox(ANN)
    return bench


def story(bench: Bench) -> dict[str, object]:
    """What a mail program knows of a store, and must find again."""
    found: dict[str, object] = {"subscriptions": bench.stores.subscriptions(ANN)}
    for mailbox in bench.stores.mailboxes(ANN):
        row, messages = bench.open(ANN, mailbox.name)
        found[mailbox.name] = (
            row.id, row.uidvalidity, row.special_use, row.acl, row.metadata,
            [
                (m.uid, m.flags, m.keywords, m.size, m.crlf, m.internaldate, bench.stores.read(ANN.id, row, m))
                for m in messages
            ],
            bench.repository.seen_by(ANN.id, row.id, [m.uid for m in messages], "t:bob"),
        )  # fmt: skip
    return found


def exported(bench: Bench, **options: bool) -> bytes:
    out = io.BytesIO()
    bench.stores.export(ANN, out, **options)
    return out.getvalue()


def other(bench: Bench) -> Bench:
    """Another machine."""
    path = bench.path.parent / "new"
    path.mkdir()
    return Bench(path, bench.kind)


@pytest.mark.parametrize("is_gzip", [False, True])
def test_everything_comes_over(bench: Bench, is_gzip: bool) -> None:
    content = exported(filled(bench), is_gzip=is_gzip)
    new = other(bench)
    done = new.stores.import_(ANN, io.BytesIO(content))
    assert story(new) == story(bench)
    assert (done.account, done.messages, done.replaced) == (ANN.id, 4, "")
    assert done.mailboxes == len(bench.stores.mailboxes(ANN))
    assert new.stores.check(ANN.id) == []
    for name in ("INBOX", "Work/Ärzte v1.2"):  # nothing that was given is given again
        before, after = bench.open(ANN, name)[0], new.open(ANN, name)[0]
        assert after.uidnext >= before.uidnext
        assert after.highestmodseq > before.highestmodseq
    assert new.deliver(ANN) > bench.inbox(ANN)[0].uidnext - 1
    assert sorted(os.listdir(new.maildir(ANN).parent)) == ["Maildir"]


def test_other_programs_read_it(bench: Bench, tmp_path: Path) -> None:
    content = exported(filled(bench))
    subprocess.run(["tar", "-xf", "-"], input=content, cwd=tmp_path, check=True)
    found = {number_in(f.name.partition(":")[0], "U"): f for f in (tmp_path / "Maildir" / "cur").iterdir()}
    _, rows = bench.inbox(ANN)
    assert sorted(found) == [row.uid for row in rows]  # type: ignore[type-var]
    assert found[3].name.endswith(":2,FPS")  # $Forwarded is a letter of Maildir
    lines = [line.split("\t") for line in (tmp_path / "index.tsv").read_text().splitlines()]
    assert tuple(lines[0]) == archive.INDEX_FIELDS
    told = {line[0]: line for line in lines[1:]}
    assert len(told) == 4
    for path, line in told.items():
        sums = subprocess.run(["sha256sum", tmp_path / path], capture_output=True, text=True, check=True)
        assert sums.stdout.split()[0].lstrip("\\") == line[1]
    old = next(line for line in lines if line[4] == "urgent")
    assert old[5] == "1000000.250000"
    assert os.stat(tmp_path / old[0]).st_mtime == 1_000_000.25


def test_mail_that_is_there_is_not_overwritten(bench: Bench) -> None:
    content = exported(filled(bench))
    before = story(bench)
    bench.deliver(ANN, BODY + b"since then\n")
    with pytest.raises(StoreHoldsMail, match="holds 5 messages"):
        bench.stores.import_(ANN, io.BytesIO(content))
    assert len(bench.inbox(ANN)[1]) == 4
    done = bench.stores.import_(ANN, io.BytesIO(content), replace=True)
    assert story(bench) == before
    kept = list(Path(done.replaced, "cur").iterdir())
    assert any(file.read_bytes().endswith(b"since then\n") for file in kept)
    assert bench.stores.check(ANN.id) == []


def test_an_empty_store_gives_way(bench: Bench) -> None:
    content = exported(filled(bench))
    new = other(bench)
    new.stores.mailboxes(ANN)
    new.stores.import_(ANN, io.BytesIO(content))
    assert story(new) == story(bench)
    assert sorted(os.listdir(new.maildir(ANN).parent)) == ["Maildir"]


def test_a_message_that_comes_while_stores_are_exchanged_is_there(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = exported(filled(bench))
    new = other(bench)
    new.stores.mailboxes(ANN)
    forget = new.stores._forget
    delivered = []

    def between(account: str) -> None:
        forget(account)
        if not delivered:  # the rows are gone, the files are there: another process makes them again
            delivered.append(new.deliver(ANN, BODY + b"just now\n"))

    monkeypatch.setattr(new.stores, "_forget", between)
    done = new.stores.import_(ANN, io.BytesIO(content))
    assert done.came == 1
    inbox, rows = new.inbox(ANN)
    assert len(rows) == 4
    assert new.stores.read(ANN.id, inbox, rows[-1]).endswith(b"just now\n")
    assert rows[-1].uid >= bench.inbox(ANN)[0].uidnext
    assert new.stores.check(ANN.id) == []


def damaged(content: bytes, what: str) -> bytes:
    if what == "cut off":
        return content[: len(content) // 2]
    if what == "end missing":
        return content[: content.rindex(archive.END.encode())] + bytes(10_240)
    if what == "octet":
        return content.replace(b"first line", b"fIrst line", 1)
    if what == "flags":
        return content.replace(b"\turgent\n", b"\turgenT\n", 1)
    if what == "version":
        return content.replace(b'"version":1', b'"version":9', 1)
    if what == "other tar":
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            tar.addfile(archive.member("Maildir/cur/1.a,U=1:2,", 0, 0))
        return out.getvalue()
    return {"empty": b"", "text": b"hello\n" * 1_000}[what]


def test_what_is_damaged_changes_nothing(bench: Bench) -> None:
    content = exported(filled(bench))
    new = other(bench)
    for what in ("cut off", "end missing", "octet", "flags", "version", "other tar", "empty", "text"):
        with pytest.raises(ArchiveProblem):
            new.stores.import_(ANN, io.BytesIO(damaged(content, what)))
        assert new.repository.account(ANN.id) is None
        assert not [name for _, _, files in os.walk(new.volume) for name in files if name != markers.STORE]


@pytest.mark.parametrize(
    "path",
    [
        "Maildir/cur/../../../x,U=1:2,",
        "/etc/passwd",
        "Maildir/new/x,U=1",
        "Maildir/.gatepost-account",
        "Maildir/..x/cur/1,U=1:2,",
        "Maildir/cur/x",
        "Maildir/cur/.x,U=1:2,",
        "other/cur/x,U=1:2,",
    ],
)
def test_no_member_leads_anywhere_else(path: str) -> None:
    with pytest.raises(ArchiveProblem):
        archive.place_of(path)


_KILLED = """
import io, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from store_bench import Bench, person
from gateway.store import importing
bench = Bench(Path(sys.argv[2]))
step = sys.argv[4]
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
if step == "unpacked": importing._put_on_disk = kill
elif step == "forgotten":
    forget = bench.stores._forget
    bench.stores._forget = lambda account: (forget(account), kill())
elif step == "exchanged": bench.stores.open = kill
bench.stores.import_(person(), open(sys.argv[3], "rb"), replace=True)
"""


@pytest.mark.parametrize("step", ["unpacked", "forgotten", "exchanged"])
def test_killed_anywhere_the_account_has_the_old_store_or_the_new_one(tmp_path: Path, step: str) -> None:
    (tmp_path / "old").mkdir()
    bench = filled(Bench(tmp_path / "old"))
    (tmp_path / "file").write_bytes(exported(bench))
    wanted = story(bench)
    new = other(bench)
    new.deliver(ANN, BODY + b"of before\n")
    before = story(new)
    new.stores.close()
    here = str(Path(__file__).parent)
    args = [sys.executable, "-c", _KILLED, here, str(new.path), str(tmp_path / "file"), step]
    assert subprocess.run(args, check=False, timeout=120).returncode == -9
    new.start()
    found = story(new)
    assert {name for name in found if name != "subscriptions"} >= {"INBOX"}
    if step == "exchanged":
        assert found == wanted
    else:
        assert found == before
    new.stores.import_(ANN, io.BytesIO((tmp_path / "file").read_bytes()), replace=True)  # and again
    assert story(new) == wanted
    assert not [name for name in os.listdir(new.maildir(ANN).parent) if name.startswith("gatepost-import")]


def test_one_import_at_a_time(bench: Bench) -> None:
    content = exported(filled(bench))
    new = other(bench)
    parent = os.path.dirname(new.stores._computed_path(ANN)[0])
    os.makedirs(parent)
    with importing._alone(parent, "Maildir"), pytest.raises(Deferred, match="another import"):
        new.stores.import_(ANN, io.BytesIO(content))
    new.stores.import_(ANN, io.BytesIO(content))
