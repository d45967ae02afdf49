"""SEARCH with the files of texts finds what it finds without them: whatever the script, whatever happens to the files."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest
from conftest import eventually
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from imap_bench import ANN, JANE, Bench, Client

from directory.model import Deferred
from gateway.imap import searching
from gateway.service import imap_contents, search_build
from gateway.service.search_build import SearchBuilder
from gateway.store import search_file
from gateway.store.settings import SearchSettings

#: letters that come close to each other: case, marks, ligatures, scripts without spaces, what SQLite and FTS treat apart
LETTERS = "aAbB cß\u0130\u00fcu\u0308\ufb01fi\"'*\x01\n会议室今日本カナ\uff76กขาไท\U0001f600\U0001f601-:"
TEXTS = st.text(LETTERS, max_size=24)


def mail(subject: str, text: str) -> bytes:
    message = EmailMessage()
    message["Subject"] = " ".join(subject.split())
    message.set_content(text, charset="utf-8", cte="base64")
    return message.as_bytes()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(tmp_path)
    monkeypatch.setattr(searching, "MANY", 1)
    yield made
    made.close()


def literal(text: str) -> bytes:
    octets = text.encode()
    return b"{%d+}\r\n%b" % (len(octets), octets)


def found(client: Client, keys: bytes) -> list[int]:
    answer = client.say(b"UID SEARCH CHARSET UTF-8 " + keys)
    match = re.match(rb"\* SEARCH([ 0-9]*)\r\na OK ", answer)
    assert match, answer
    return [int(uid) for uid in match[1].split()]


def built(bench: Bench) -> SearchBuilder:
    builder = SearchBuilder(bench.host)
    for _ in range(50):
        if builder.build(JANE.id):
            return builder
    raise AssertionError("it never ends")


def by_hand(bench: Bench, keys: bytes, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What is found where every message is looked into."""
    with monkeypatch.context() as patched:
        patched.setattr(searching, "MANY", 1 << 30)
        return found(bench.client(b"SELECT INBOX"), keys)


def looked_into(client: Client, keys: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], list[int]]:
    """What is found, and of which messages the text was read for it."""
    read: list[int] = []
    search = imap_contents.Reader.search

    def counting(self: imap_contents.Reader, request: imap_contents.SearchContents) -> dict[int, bool | None]:
        read.extend(message.uid for message in request.messages)
        return search(self, request)

    with monkeypatch.context() as patched:
        patched.setattr(imap_contents.Reader, "search", counting)
        return found(client, keys), sorted(set(read))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("property"))
    yield made
    made.close()


@examples(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=4), st.lists(st.text(LETTERS, min_size=1, max_size=5), min_size=1, max_size=3), st.data())  # fmt: skip
def test_with_the_file_is_found_what_is_found_without(
    shared: Bench,
    monkeypatch: pytest.MonkeyPatch,
    mails: list[tuple[str, str]],
    needles: list[str],
    data: st.DataObject,
) -> None:
    """Messages and file stay from one example to the next, so that it grows as it does in life."""
    shared.append(*(mail(*each) for each in mails))
    built(shared)
    known = [text for each in mails for text in each if text]
    if known:  # a part of what is there, so that something is found
        text = data.draw(st.sampled_from(known))
        start = data.draw(st.integers(0, len(text) - 1))
        needles = [*needles, text[start : start + data.draw(st.integers(1, 6))]]
    client = shared.client(b"SELECT INBOX")
    for needle in needles:
        for keys in (b"TEXT %b", b"BODY %b", b"NOT TEXT %b", b"OR BODY %b SUBJECT a"):
            said = keys % literal(needle)
            with monkeypatch.context() as patched:
                patched.setattr(searching, "MANY", 1)
                by_file = found(client, said)
            assert by_file == by_hand(shared, said, monkeypatch), (needle, keys)


def test_only_candidates_are_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(
        mail("Offer", "the price is right"), mail("会议", "今天的会议室在三楼"), mail("ประชุม", "พรุ่งนี้บ่าย"), mail("日程", "明日の会議です"),
        mail("Offer", "pricing"),
    )  # fmt: skip
    builder = built(bench)
    client = bench.client(b"SELECT INBOX")
    for needle, expected in (("price", [1]), ("会议", [2]), ("楼", [2]), ("会議", [4]), ("บ่าย", [3]), ("PRIC", [1, 5])):
        assert looked_into(client, b"TEXT " + literal(needle), monkeypatch) == (expected, expected), needle
    # too short to be told apart: every message is read
    assert looked_into(client, b"TEXT pr", monkeypatch) == ([1, 5], [1, 2, 3, 4, 5])
    # not in the file yet: it is read, too
    bench.append(mail("New", "another price"), mail("New", "nothing"))
    client.say(b"NOOP")
    assert looked_into(client, b"BODY price", monkeypatch) == ([1, 6], [1, 6, 7])
    assert builder.build(JANE.id)
    assert looked_into(client, b"BODY price", monkeypatch) == ([1, 6], [1, 6])


def test_copies_and_what_is_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(*(mail("x", f"word number{number}") for number in range(5)))
    builder = built(bench)
    client = bench.client(b"SELECT INBOX")
    assert b" OK " in client.say(b"COPY 1:2 Archive")
    assert b" OK " in client.say(b"MOVE 3 Archive")
    read: list[int] = []
    contents = imap_contents.Reader.contents
    with monkeypatch.context() as patched:
        patched.setattr(
            imap_contents.Reader,
            "contents",
            lambda self, uids, *args, **kinds: (read.extend(uids), contents(self, uids, *args, **kinds))[1],
        )
        assert builder.build(JANE.id)
    assert not read  # their text is known
    assert found(client, b"TEXT number2") == []
    state = builder.files.state(JANE.id)
    assert state is not None
    assert state.messages == 7
    archive = bench.client(b"SELECT Archive")
    assert looked_into(archive, b"TEXT number2", monkeypatch) == ([3], [3])
    # another mailbox of that name is another mailbox
    client.say(b"DELETE Archive")
    client.say(b"CREATE Archive")
    client.say(b"COPY 1 Archive")
    assert found(bench.client(b"SELECT Archive"), b"TEXT number0") == [1]
    assert builder.build(JANE.id)
    state = builder.files.state(JANE.id)
    assert state is not None
    assert state.messages == 5


def test_a_file_mostly_of_what_is_gone_is_made_anew(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_file, "MIN_DEAD", 3)
    bench.append(*(mail("x", f"word number{number}") for number in range(8)))
    built(bench)
    client = bench.client(b"SELECT INBOX", b"STORE 1:6 +FLAGS (\\Deleted)", b"EXPUNGE")
    builder = SearchBuilder(bench.host)
    assert not builder.build(JANE.id)
    assert not builder.files.exists(JANE.id)
    assert found(client, b"TEXT number6") == [7]
    assert builder.build(JANE.id)
    assert looked_into(client, b"TEXT number6", monkeypatch) == ([7], [7])


@pytest.mark.parametrize("harm", ["gone", "cut", "overwritten", "another format", "tables gone"])
def test_harm_to_the_file_costs_time_only(bench: Bench, harm: str) -> None:
    bench.append(*(mail("x", f"word number{number}") for number in range(5)))
    builder = built(bench)
    path = builder.files.path(JANE.id)
    client = bench.client(b"SELECT INBOX")
    if harm == "gone":
        path.unlink()
        Path(f"{path}-wal").write_bytes(b"left by a process that was killed")
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif harm == "overwritten":
        path.write_bytes(b"\xaa" * path.stat().st_size)
    else:
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version=99" if harm == "another format" else "DROP TABLE place")
        db.commit()
        db.close()
    assert found(client, b"TEXT number3") == [4]
    built(bench)
    state = builder.files.state(JANE.id)
    assert state is not None
    assert state.messages == 5
    assert found(client, b"TEXT number3") == [4]


def test_what_cannot_be_built_is_trouble_and_no_endless_work(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(mail("x", "word"))
    monkeypatch.setattr(search_file, "_TABLES", ("CREATE VIRTUAL TABLE grams USING no_such_module(text)",))
    with pytest.raises(Deferred):
        SearchBuilder(bench.host).build(JANE.id)
    assert found(bench.client(b"SELECT INBOX"), b"TEXT word") == [1]


def test_limits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(mail("x", "word number0 " + "filler " * 300), mail("x", "word number1"), mail("x", "word number2"))
    builder = SearchBuilder(bench.host)
    monkeypatch.setattr(builder, "_settings", SearchSettings(max_text=1000))
    assert builder.build(JANE.id)
    state = builder.files.state(JANE.id)
    assert state is not None
    assert state.messages == 2
    client = bench.client(b"SELECT INBOX")
    assert looked_into(client, b"TEXT number", monkeypatch) == ([1, 2, 3], [1, 2, 3])
    assert looked_into(client, b"TEXT number2", monkeypatch) == ([3], [1, 3])
    monkeypatch.setattr(builder, "_settings", SearchSettings(max_file=1))
    bench.append(mail("x", "word number3"))
    assert builder.build(JANE.id)  # it may not grow, and that is no error
    client.say(b"NOOP")
    assert found(client, b"TEXT number3") == [4]
    # a full file, most of which is gone, makes room
    monkeypatch.setattr(search_file, "MIN_DEAD", 1)
    client.say(b"STORE 1:3 +FLAGS (\\Deleted)")
    client.say(b"EXPUNGE")
    assert not builder.build(JANE.id)
    assert not builder.files.exists(JANE.id)


def test_what_is_searched_is_asked_for_and_built(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.append(*(mail("x", f"word number{number}") for number in range(5)))
    builder = SearchBuilder(bench.host)
    assert found(bench.client(b"SELECT INBOX"), b"SUBJECT x") == [1, 2, 3, 4, 5]
    assert builder.files.wished() == []  # no text was looked for
    assert found(bench.client(b"SELECT INBOX"), b"TEXT number3") == [4]
    assert builder.files.wished() == [JANE.id]
    monkeypatch.setattr(search_build, "WISH_SECONDS", 0.01)

    async def run() -> None:
        building = asyncio.ensure_future(search_build.build_for_ever(bench.host))
        await asyncio.to_thread(eventually, lambda: builder.files.state(JANE.id) is not None)
        building.cancel()

    asyncio.run(run())
    assert looked_into(bench.client(b"SELECT INBOX"), b"TEXT number3", monkeypatch) == ([4], [4])


def test_the_round_keeps_files_up_to_date_and_forgets_those_of_nobody(bench: Bench) -> None:
    bench.append(mail("x", "word"))
    builder = built(bench)
    with builder.files.building("t:nobody"):
        pass
    bench.append(mail("x", "word"))
    bench.stores.mailboxes(ANN)  # who has never searched has no file
    asyncio.run(search_build.go_round(bench.host, builder))
    state = builder.files.state(JANE.id)
    assert state is not None
    assert state.messages == 2
    assert not builder.files.exists("t:nobody")
    assert not builder.files.exists(ANN.id)
    vars(bench.host.stores)["_settings"] = msgspec.structs.replace(
        bench.stores.settings, search=SearchSettings(accounts="all")
    )
    asyncio.run(search_build.go_round(bench.host, builder))
    assert builder.files.exists(ANN.id)


def test_delivery_while_it_is_built(bench: Bench) -> None:
    bench.append(*(mail("x", f"word number{number}") for number in range(40)))
    builder = SearchBuilder(bench.host)
    done = threading.Event()

    def deliver() -> None:
        for number in range(40, 80):
            content = mail("x", f"word number{number}")
            bench.stores.deliver(JANE, [content], len(content), len(content) + content.count(b"\n"), "jane")
        done.set()

    thread = threading.Thread(target=deliver)
    thread.start()
    client = bench.client(b"SELECT INBOX")
    while not done.is_set():
        builder.build(JANE.id, 0.01)
        client.say(b"NOOP")
        count = len(found(client, b"ALL"))
        assert len(found(client, b"TEXT word")) == count
    thread.join()
    built(bench)
    client.say(b"NOOP")
    assert found(client, b"TEXT number7") == [8, *range(71, 81)]
