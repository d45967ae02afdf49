"""Stores of other servers become stores here: what they note beside the messages is read, nothing of theirs changes."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_bench import BODY, Bench, person

from directory.model import Deferred
from gateway.store.foreign import courier, dovecot
from gateway.store.foreign.reading import ForeignStore
from gateway.store.foreign.records import Unreadable
from gateway.store.repository import MessageRow
from gateway.store.taking_over import StoreInUse

ANN = person()
DATE = 1_500_000_000
CRLF = len(BODY) + BODY.count(b"\n")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    made = tmp_path / "old"
    mailbox(made)
    return made


def mailbox(folder: Path, *files: str, body: bytes = BODY) -> None:
    """A folder of a Maildir with messages; a file without `:` is new."""
    for place in ("cur", "new", "tmp"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(files):
        path = folder / ("cur" if ":" in file else "new") / file
        path.write_bytes(body)
        os.utime(path, (DATE + number, DATE + number))


def told(rows: list[MessageRow]) -> list[tuple[int, str, str]]:
    return [(row.uid, row.flags, row.keywords) for row in rows]


def test_dovecot(bench: Bench, old: Path) -> None:
    size = f"S={len(BODY)},W={CRLF}"
    mailbox(old, f"3.M1P1.h,{size}:2,FSab", "1.M1P1.h:2,", "2.M1P1.h", "9.new")
    (old / "dovecot-uidlist").write_text(
        f"3 V777 N12 G0123\n4 G55 :1.M1P1.h\n7 W9 P17 :2.M1P1.h\n8 :gone\n11 :3.M1P1.h,{size}\n"
    )
    (old / "dovecot-keywords").write_text("0 $Label1\n1 work\n26 beyond\n2 (wrong\n")
    (old / "subscriptions").write_text("V\t2\n\nINBOX\nWork\t&AMQ-rzte\nnot\tthere\n")
    mailbox(old / ".Work.&AMQ-rzte", "5.x:2,R")
    (old / ".Work.&AMQ-rzte" / "dovecot-uidlist").write_text("1 778 3\n2 5.x\n")
    mailbox(old / ".Sent Items")
    before = sorted((path, path.stat().st_mtime_ns) for path in old.rglob("*"))

    done = bench.stores.take_over(ANN, ForeignStore("dovecot", str(old)))
    assert done.messages == {"INBOX": 4, "Sent Items": 0, "Work/Ärzte": 1} | dict.fromkeys(
        ("Archive", "Drafts", "Junk", "Trash"), 0
    )
    row, messages = bench.inbox(ANN)
    assert (row.uidvalidity, row.uidnext) == (777, 13)
    assert told(messages) == [(4, "", ""), (7, "", ""), (11, "FS", "$Label1 work"), (12, "", "")]
    assert [m.internaldate for m in messages] == [DATE + 1, DATE + 2, DATE, DATE + 3]
    assert [bench.stores.read(ANN.id, row, m) for m in messages] == [BODY] * 4
    assert {m.crlf for m in messages} == {CRLF}
    assert bench.stores.unique_ids(ANN, row) == {4: "0000000400000309", 7: "17", 11: "0000000b00000309"}
    work, found = bench.open(ANN, "Work/Ärzte")
    assert (work.uidvalidity, told(found)) == (778, [(2, "R", "")])
    rows = {each.name: each for each in bench.stores.mailboxes(ANN)}
    assert rows["Sent Items"].special_use == "\\Sent"
    assert "Sent" not in rows
    assert {name for name, each in rows.items() if each.subscribed} == {
        "INBOX", "Work/Ärzte", "Archive", "Drafts", "Junk", "Trash",
    }  # fmt: skip
    assert "not/there" in bench.stores.subscriptions(ANN)
    assert bench.stores.check(ANN.id) == []
    assert sorted((path, path.stat().st_mtime_ns) for path in old.rglob("*")) == before

    assert bench.stores.take_over(ANN, ForeignStore("dovecot", str(old))).was_done
    assert bench.deliver(ANN) == 13
    called = bench.stores.unique_ids(ANN, row)
    exported = io.BytesIO()
    bench.stores.export(ANN, exported)
    bob = person("bob")
    bench.stores.import_(bob, io.BytesIO(exported.getvalue()))
    assert bench.stores.unique_ids(bob, bench.inbox(bob)[0]) == called
    bench.lose_index()
    row, messages = bench.inbox(ANN)
    assert row.uidvalidity == 777
    assert told(messages)[:3] == [(4, "", ""), (7, "", ""), (11, "FS", "$Label1 work")]


def test_back_to_dovecot(bench: Bench, old: Path, tmp_path: Path) -> None:
    mailbox(old, "1.a:2,")
    (old / "dovecot-uidlist").write_text("3 V777 N4\n2 PX :1.a\n")
    bench.stores.take_over(ANN, ForeignStore("dovecot", str(old)))
    words = [f"word{number:02}" for number in range(28)]
    for number in range(2):
        bench.stores.append(ANN, "INBOX", BODY, "FS", " ".join(words[: 26 + 2 * number]), DATE)
    bench.stores.create_mailbox(ANN, "Work/Ärzte")
    target = tmp_path / "back"
    done = bench.stores.hand_back(ANN, str(target), "%v.%u")
    assert done.left_out == {"INBOX": ["word26", "word27"]}
    again = ForeignStore("dovecot", str(target), uidl="%v.%u")
    inbox, *others = again.mailboxes(1)
    row, messages = bench.inbox(ANN)
    assert (inbox.uidvalidity, inbox.uidnext) == (777, row.uidnext) == (777, 6)
    assert [(m.uid, m.flags) for m in inbox.messages] == [(m.uid, m.flags) for m in messages]
    assert [m.keywords.split() for m in inbox.messages] == [[], words[:26], words[:26]]
    assert [m.uidl for m in inbox.messages] == ["X", "00000004u00000309v", "00000005u00000309v"]
    assert "Work/Ärzte" in [each.name for each in others]
    assert set(again.subscriptions([])) == set(bench.stores.subscriptions(ANN))
    assert (target / "dovecot-uidvalidity").read_text() in [p.suffix[1:] for p in target.glob("dovecot-uidvalidity.*")]
    with pytest.raises(Unreadable, match="there already"):
        bench.stores.hand_back(ANN, str(target))
    with pytest.raises(Unreadable, match="within the store"):
        bench.stores.hand_back(ANN, str(bench.maildir(ANN) / "x"))


def test_back_and_forth(bench: Bench, old: Path, tmp_path: Path) -> None:
    mailbox(old, "1.a:2,", "2.b:2,")
    (old / "dovecot-uidlist").write_text("3 V777 N6\n2 :1.a\n5 :2.b\n")
    bench.stores.take_over(ANN, ForeignStore("dovecot", str(old)))
    target = tmp_path / "back"
    bench.stores.hand_back(ANN, str(target))
    mailbox(target, "3.there:2,S")  # at Dovecot, which gives it UID 6; so does the store here to another message
    with (target / "dovecot-uidlist").open("a") as file:
        file.write("6 :3.there\n")
    assert bench.deliver(ANN) == 6
    bench.stores.take_over(ANN, ForeignStore("dovecot", str(target)), merge=True)
    row, messages = bench.inbox(ANN)
    assert (row.uidvalidity, told(messages)) == (777, [(2, "", ""), (5, "", ""), (6, "S", ""), (7, "", "")])
    assert bench.stores.check(ANN.id) == []


def test_courier(bench: Bench, old: Path) -> None:
    mailbox(old, "1.a:2,S", "2.b,S=40:2,", "3.c:2,", "4.d")
    (old / "courierimapuiddb").write_text("1 900 9\n3 1.a\n5 2.b,S=40\n8 3.c\n")
    (old / "courierimapsubscribed").write_text("INBOX\nINBOX.Work\nINBOX.&AMQ-rzte\n")
    (old / "courierpop3dsizelist").write_text("/3 7 900\n1.a 45 0:0:0\n2.b,S=40 45 5:900:0\n3.c 45 6:0:0\n")
    keywords = old / "courierimapkeywords"
    keywords.mkdir()
    (keywords / ":list").write_text("blue\nred\n\n1.a:0 1\n2.b,S=40:1\n3.c:0\n")
    (keywords / ".100.2.b,S=40").write_text("green\n")
    (keywords / ".99.2.b,S=40").write_text("old\n")
    (keywords / "3.c").write_text("")
    mailbox(old / ".Work", "1.a:2,S")
    bench.stores.take_over(ANN, ForeignStore("courier", str(old)))
    row, messages = bench.inbox(ANN)
    assert row.uidvalidity == 900
    assert told(messages) == [(3, "S", "blue red"), (5, "", "green"), (8, "", ""), (9, "", "")]
    assert bench.stores.unique_ids(ANN, row) == {3: "1.a", 5: "UID5-900", 8: "UID6"}
    assert {"INBOX", "Work", "Ärzte"} <= set(bench.stores.subscriptions(ANN))
    assert told(bench.open(ANN, "Work")[1]) == [(1, "S", "")]


def test_a_plain_maildir_and_what_is_odd_in_it(bench: Bench, old: Path) -> None:
    mailbox(old, "2.b:2,PS", "1.a:2,", "bad\tname:2,", ",S=3:2,")
    (old / "cur" / "folder").mkdir()
    (old / "cur" / "link:2,").symlink_to("/etc/passwd")
    packed = old / "cur" / f"5.z,S={len(BODY)},W={CRLF}:2,F"
    packed.write_bytes(gzip.compress(BODY))
    os.utime(packed, (DATE + 9, DATE + 9))
    for folder in (".a*b", ".a_b", ".INBOX", ".Shared.x", ".broken&", ".Sent"):
        mailbox(old / folder, "1.m:2,")
    done = bench.stores.take_over(ANN, ForeignStore("maildir", str(old)))
    row, messages = bench.inbox(ANN)
    assert told(messages) == [(1, "S", "$Forwarded"), (2, "", ""), (3, "", ""), (4, "", ""), (5, "F", "")]
    assert messages[4].size == len(BODY)
    assert [bench.stores.read(ANN.id, row, m) for m in messages] == [BODY] * 5
    assert sorted(map(os.path.basename, done.oddities)) == ["folder", "link:2,"]
    assert done.renamed == {".a*b": "a_b", ".a_b": "a_b_", ".INBOX": "INBOX_", ".Shared.x": "Shared_/x"}
    assert all(done.messages[name] == 1 for name in ("a_b", "a_b_", "INBOX_", "Shared_/x", "broken&", "Sent"))
    assert done.copied == 1


def test_what_was_received_here_stays(bench: Bench, old: Path) -> None:
    mailbox(old, "1.a:2,")
    mailbox(old / ".Work", "2.b:2,")
    (old / "dovecot-uidlist").write_text("3 V777 N2\n1 :1.a\n")
    bench.deliver(ANN)
    bench.stores.create_mailbox(ANN, "Own")
    bench.stores.create_mailbox(ANN, "Work")
    inbox = bench.inbox(ANN)[0]
    bench.stores.append(ANN, "Own", BODY, "FS", "blue", DATE)
    bench.repository.store_flags(ANN.id, inbox.id, [1], "add", "S", "red")
    own, _ = bench.open(ANN, "Own")
    with pytest.raises(StoreInUse):
        bench.stores.take_over(ANN, ForeignStore("dovecot", str(old)))
    assert told(bench.inbox(ANN)[1]) == [(1, "S", "red")]
    bench.stores.take_over(ANN, ForeignStore("dovecot", str(old)), merge=True)
    row, messages = bench.inbox(ANN)
    assert (row.uidvalidity, told(messages)) == (777, [(1, "", ""), (2, "S", "red")])
    after, found = bench.open(ANN, "Own")
    assert (after.uidvalidity, after.id, told(found)) == (own.uidvalidity, own.id, [(1, "FS", "blue")])
    assert told(bench.open(ANN, "Work")[1]) == [(1, "", "")]
    assert bench.stores.check(ANN.id) == []
    assert [name for name in os.listdir(bench.maildir(ANN).parent) if name != "Maildir"] == []


def test_what_cannot_be_taken_over_says_why(bench: Bench, old: Path) -> None:
    def refused(kind: str = "dovecot", root: Path = old, **more: str) -> str:
        with pytest.raises(Unreadable) as caught:
            bench.stores.take_over(ANN, ForeignStore(kind, str(root), **more))  # type: ignore[arg-type]
        return str(caught.value)

    assert "is not a Maildir" in refused(root=old / "cur")
    (old / "dovecot-uidlist").write_text("3 V0 N1\n")
    assert "no UIDVALIDITY" in refused()
    (old / "dovecot-uidlist").write_text("4 V1 N1\n")
    assert "versions 1 and 3" in refused()
    (old / "dovecot-uidlist").write_text("3 V1 N1\n1 :1.a\n")
    assert "pop3_uidl_format" in refused(uidl="%m")
    (old / "courierimapuiddb").write_text("2 1 1\n")
    assert "version 1" in refused("courier")
    (old / "dovecot-uidlist").unlink()
    mailbox(old / "Work")
    assert "LAYOUT=fs" in refused()
    (old / "Work").rename(old / ".Work")
    mailbox(old, "1.z:2,", body=b"\x28\xb5\x2f\xfd and more")
    assert "zstd" in refused()
    mailbox(old, "1.z:2,", body=gzip.compress(BODY)[:20])
    assert "1.z" in refused()
    mailbox(old, "1.z:2,")
    bench.deliver(ANN)
    assert "move it aside" in refused(root=bench.maildir(ANN))
    assert [name for name in os.listdir(bench.maildir(ANN).parent) if name != "Maildir"] == []


def test_a_store_that_changes_meanwhile(bench: Bench, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox(old, "1.a:2,", "2.b:2,", "3.c")
    link, left = os.link, [1]

    def linked(source: str, target: str, **more: bool) -> None:
        if left[0]:
            left[0] -= 1
            (old / "cur" / "1.a:2,").rename(old / "cur" / "1.a:2,S")
            (old / "cur" / "2.b:2,").unlink()
            (old / "new" / "3.c").rename(old / "cur" / "3.c:2,F")
        link(source, target, **more)

    monkeypatch.setattr(os, "link", linked)
    bench.stores.take_over(ANN, ForeignStore("maildir", str(old)))
    assert told(bench.inbox(ANN)[1]) == [(1, "S", ""), (2, "F", "")]

    def never_still(source: str, target: str, **more: bool) -> None:
        (old / "new" / f"{len(os.listdir(old / 'new'))}.more").write_bytes(BODY)
        link(source, target, **more)

    monkeypatch.setattr(os, "link", never_still)
    with pytest.raises(Deferred, match="stop its server"):
        bench.stores.take_over(person("bob"), ForeignStore("maildir", str(old)))


@pytest.mark.parametrize(
    ("form", "told_as"), [("%08Xu%08Xv", "0000000c0000030a"), ("%v.%u", "778.12"), ("%f", "1.a"), ("%g", "55"), ("UID%u-%v", "UID12-778")]
)  # fmt: skip
def test_unique_ids_of_dovecot(form: str, told_as: str) -> None:
    assert dovecot.unique_id_of(form, 778, 12, {"G": "55"}, "1.a") == told_as


def test_files_that_are_not_there_or_damaged(old: Path) -> None:
    assert dovecot.read_records(str(old)).uidvalidity == 0
    assert courier.read_records(str(old)).uids == {}
    assert dovecot.read_subscriptions(str(old)) is None
    assert courier.read_subscriptions(str(old)) is None
    (old / "dovecot-uidlist").write_bytes(b"3 V5 N2 G\n1 :a\nrubbish\n99999999999 :b\n3 :c/d\n2 :\xff\xfe\n")
    assert sorted(dovecot.read_records(str(old)).uids.values()) == [1, 2]
    (old / "subscriptions").write_text("Work.Old\nINBOX\n")
    assert dovecot.read_subscriptions(str(old)) == ["Work/Old", "INBOX"]


WORDS = st.sampled_from(
    ["1 ", "3 V", "V5", " N2", "7 ", ":", "\n", "\n\n", " ", "\t", "a.b", "/2 3 4", "UID", "9" * 5000, "0", "\0", "\udcff", ":list", "²"]
)  # fmt: skip


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=20).map("".join))
def test_whatever_stands_there_is_read_or_refused(old: Path, text: str) -> None:
    (old / "courierimapkeywords").mkdir(exist_ok=True)
    for name in ("dovecot-uidlist", "dovecot-keywords", "subscriptions", "courierimapuiddb", "courierimapsubscribed",
                 "courierpop3dsizelist", "courierimapkeywords/:list", "courierimapkeywords/.5.x"):  # fmt: skip
        (old / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    for kind in ("dovecot", "courier"):
        foreign = ForeignStore(kind, str(old))  # type: ignore[arg-type]
        with contextlib.suppress(Unreadable):
            (inbox,) = foreign.mailboxes(1)
            assert inbox.uidvalidity >= 1
        foreign.subscriptions([])
