"""What is expunged is kept for a while and comes back; what has been in the trash for long goes by itself."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from store_bench import BODY, Bench, person

from directory.model import MailboxHolder, Refused
from gateway.store import keeping
from gateway.store.keeping import Kept
from gateway.store.settings import StoreSettings

ANN = person()
DAY = 86_400.0


@pytest.fixture(params=["sqlite", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    made = Bench(tmp_path, request.param)
    configure(made, keep_expunged=14 * DAY)
    return made


def configure(bench: Bench, **options: object) -> None:
    volumes = bench.stores._settings.volumes
    bench.stores._settings = StoreSettings(volumes=volumes, **options)  # type: ignore[arg-type]


def kept(bench: Bench, holder: MailboxHolder = ANN) -> list[Kept]:
    return bench.stores.expunged_messages(holder)


def test_an_expunged_message_comes_back_with_flags_and_date(bench: Bench) -> None:
    bench.stores.create_mailbox(ANN, "Work/2026")
    row = bench.stores.append(ANN, "Work/2026", [BODY], "FS", internaldate=1_000_000.0)
    bench.repository.store_flags(ANN.id, bench.open(ANN, "Work/2026")[0].id, [row.uid], "add", "T", "")
    mailbox, _ = bench.open(ANN, "Work/2026")
    bench.stores.expunge(ANN, mailbox, [row.uid])
    assert bench.open(ANN, "Work/2026")[1] == []
    assert bench.files(ANN, ".Work.2026")["cur"] == []
    (message,) = kept(bench)
    assert (message.mailbox, message.id, message.size, set(message.flags)) == (
        "Work/2026",
        row.ukey,
        len(BODY),
        set("FS"),
    )
    assert abs(message.expunged_at - time.time()) < 60
    done = bench.stores.undelete(ANN, message)
    assert done is not None
    assert done[0] == "Work/2026"
    (back,) = bench.open(ANN, "Work/2026")[1]
    assert (back.flags, back.internaldate, back.uid > row.uid) == ("FS", 1_000_000.0, True)
    assert bench.stores.read(ANN.id, bench.open(ANN, "Work/2026")[0], back) == BODY
    assert kept(bench) == []
    assert bench.stores.undelete(ANN, message) is None


def test_what_a_deleted_mailbox_held_comes_back_in_one_of_its_name(bench: Bench) -> None:
    bench.stores.create_mailbox(ANN, "Ärzte v1.2")
    for number in range(3):
        bench.stores.append(ANN, "Ärzte v1.2", [BODY + b"%d\n" % number], "F" if number else "")
    bench.stores.delete_mailbox(ANN, "Ärzte v1.2")
    messages = kept(bench)
    assert {message.mailbox for message in messages} == {"Ärzte v1.2"}
    for message in messages:
        bench.stores.undelete(ANN, message)
    assert sorted(row.flags for row in bench.open(ANN, "Ärzte v1.2")[1]) == ["", "F", "F"]


def test_into_another_mailbox(bench: Bench) -> None:
    bench.stores.expunge(ANN, bench.inbox(ANN)[0], [bench.deliver(ANN)])
    done = bench.stores.undelete(ANN, kept(bench)[0], "Found")
    assert done is not None
    assert [row.uid for row in bench.open(ANN, "Found")[1]] == [done[1].uid]


def test_what_is_kept_counts_for_no_quota_and_comes_back_only_where_there_is_room(bench: Bench) -> None:
    ann = person(quota=2 * len(BODY))
    bench.stores.expunge(ann, bench.inbox(ann)[0], [bench.deliver(ann)])
    for _ in range(2):
        bench.deliver(ann)
    with pytest.raises(Refused):
        bench.stores.undelete(ann, kept(bench, ann)[0])
    assert len(kept(bench, ann)) == 1


def test_moves_drafts_and_failed_copies_are_not_kept(bench: Bench) -> None:
    bench.stores.create_mailbox(ANN, "Work")
    bench.deliver(ANN)
    bench.stores.move(ANN, bench.inbox(ANN)[0], [1], "Work")
    draft = bench.stores.append(ANN, "INBOX", [BODY], "D")
    bench.stores.expunge(ANN, bench.inbox(ANN)[0], [draft.uid])
    assert kept(bench) == []


def test_without_the_option_nothing_is_kept(bench: Bench) -> None:
    configure(bench)
    bench.stores.expunge(ANN, bench.inbox(ANN)[0], [bench.deliver(ANN)])
    assert kept(bench) == []
    assert not os.path.exists(bench.maildir(ANN) / keeping.FOLDER)


def test_it_is_removed_when_its_time_is_over(bench: Bench) -> None:
    inbox, _ = bench.inbox(ANN)
    bench.stores.expunge(ANN, inbox, [bench.deliver(ANN), bench.deliver(ANN)])
    old, young = kept(bench)
    old.path.rename(old.path.with_name(f"{int(time.time() - 15 * DAY)}~{old.id}:2,"))
    bench.stores.tend(ANN.id, str(bench.maildir(ANN)))
    assert [message.id for message in kept(bench)] == [young.id]
    configure(bench)
    bench.stores.tend(ANN.id, str(bench.maildir(ANN)))
    assert kept(bench) == []


def test_an_expunge_that_a_crash_cut_off_is_kept_too(bench: Bench) -> None:
    uid = bench.deliver(ANN)
    bench.repository.expunge(ANN.id, 1, [uid])
    bench.stores._looks.clear()
    bench.inbox(ANN)
    assert [message.mailbox for message in kept(bench)] == ["INBOX"]


def test_what_has_been_in_the_trash_for_long_goes(bench: Bench) -> None:
    configure(bench, expire={"trash": 30 * DAY}, keep_expunged=DAY)
    bench.stores.mailboxes(ANN)
    bench.deliver(ANN)
    trash = bench.stores.append(ANN, "Trash", [BODY])
    bench.stores.tend(ANN.id, str(bench.maildir(ANN)))
    assert len(bench.open(ANN, "Trash")[1]) == 1
    late = time.time() + 31 * DAY
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: late)
        bench.changes.clear()
        bench.stores.tend(ANN.id, str(bench.maildir(ANN)))
    assert bench.open(ANN, "Trash")[1] == []
    assert len(bench.inbox(ANN)[1]) == 1
    assert bench.open(ANN, "Trash")[0].id in {mailbox for _, mailbox, _ in bench.changes}
    assert [message.id for message in kept(bench)] == [trash.ukey]
