"""The list of messages: pages of it, searches, conversations, and what is done with messages that are chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from conftest import RunningDemo
from mailroom import Mailroom, letter
from visitor import Visitor, words

pytestmark = pytest.mark.xdist_group("web")


@pytest.fixture(scope="module")
def room(webbed: RunningDemo) -> Iterator[Mailroom]:
    room = Mailroom(webbed, "petra")
    yield room
    room.close()


@pytest.fixture(scope="module")
def petra(webbed: RunningDemo) -> Iterator[Visitor]:
    visitor = Visitor(webbed, "petra")
    yield visitor
    visitor.close()


def shown(petra: Visitor, mailbox: str, **more: str) -> list[int]:
    """UIDs of the rows on the page."""
    answer = petra.get("/mail/", params={"mailbox": mailbox, **more})
    assert answer.status_code == 200, words(answer)
    return [int(uid) for uid in re.findall(r'<li class="row[^"]*" data-uid="(\d+)"', answer.text)]


def do(petra: Visitor, mailbox: str, what: str, *uids: int, **more: str) -> str:
    answer = petra.post("/mail/act", mailbox=mailbox, do=what, uid=[str(uid) for uid in uids], **more)
    assert answer.status_code == 200, words(answer)
    return words(answer)


@pytest.fixture(scope="module")
def many(room: Mailroom) -> tuple[str, list[int]]:
    """A mailbox of 120 messages, the oldest first."""
    box = room.mailbox()
    return box, [room.add(box, letter(f"Body {n} of the heap", f"Heap {n:03}")) for n in range(120)]


def test_pages_lead_from_the_newest_to_the_oldest(petra: Visitor, many: tuple[str, list[int]]) -> None:
    box, uids = many
    assert shown(petra, box) == uids[:69:-1]
    page = petra.get("/mail/", params={"mailbox": box, "at": "50"})
    assert "51–100 / 120" in words(page) and 'rel="prev"' in page.text and 'rel="next"' in page.text
    assert shown(petra, box, at="100") == uids[19::-1]
    assert shown(petra, box, order="oldest") == uids[:50]
    assert shown(petra, box, order="subject", at="100") == uids[100:]
    for odd in ("-1", "x", "1e9", "99999999999999", "9999"):
        assert petra.get("/mail/", params={"mailbox": box, "at": odd, "order": odd}).status_code == 200


def test_rows_alone_for_the_script(petra: Visitor, many: tuple[str, list[int]]) -> None:
    box, uids = many
    answer = petra.get("/mail/rows", params={"mailbox": box, "at": "100"})
    assert (
        answer.headers["X-Gatepost-Total"] == "120" and answer.text.count("<li ") == 20 and "<html" not in answer.text
    )
    assert f'data-uid="{uids[19]}"' in answer.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("harvest", {"apples"}), ("from:zoe", {"zoe"}), ("from:zoe -subject:pears", {"zoe"}), ("subject:\"two pears\"", {"pears"}),
        ("is:flagged", {"pears"}), ("is:unread zoe", {"zoe"}), ("has:attachment", {"file"}), ("label:holiday", {"apples"}), ("Äpfel", {"apples"}),
        ("after:2030-01-01", set()), ("before:2031", {"apples", "zoe", "pears", "file"}), ("larger:1M", set()), ("smaller:1M larger:1k", {"file"}),
        ("older:1d", set()), ("newer:1d harvest", {"apples"}), ("nothing:special", set()), ("to:felix", {"apples", "zoe", "pears", "file"}),
        ("\"", {"apples", "zoe", "pears", "file"}), ("from:zzz", set()), (") OR ALL (", set()), ("\r\nX LOGOUT", set()), ("{5}", set()), ("before:never", set()),
    ],
)  # fmt: skip
def test_a_search_finds_what_is_meant(
    petra: Visitor, searched: dict[str, int], room: Mailroom, query: str, found: set[str]
) -> None:
    box = str(searched["box"])
    names = {uid: name for name, uid in searched.items()}
    assert {names[uid] for uid in shown(petra, box, q=query)} == found


@pytest.fixture(scope="module")
def searched(room: Mailroom) -> dict[str, int]:
    box = room.mailbox()
    attached = (
        "multipart/mixed; boundary=x\n\n--x\n\ntext\n--x\nContent-Disposition: attachment; filename=a.bin\n\n"
        + "x" * 2000
        + "\n--x--"
    )
    return {
        "box": box,  # type: ignore[dict-item]
        "apples": room.add(box, letter("The harvest of Äpfel", "Fruit"), "(\\Seen Holiday)"),
        "zoe": room.add(box, letter("hello", "Greetings", author="Zoe <zoe@elsewhere.example>")),
        "pears": room.add(box, letter("x", "Of two pears"), "(\\Seen \\Flagged)"),
        "file": room.add(box, f"From: f@elsewhere.example\nTo: felix@example.org\nMIME-Version: 1.0\nContent-Type: {attached}", "\\Seen"),
    }  # fmt: skip


def test_conversations_are_one_row_with_all_their_messages(petra: Visitor, room: Mailroom) -> None:
    box = room.mailbox()
    first = room.add(box, letter("a", "Plan", "Message-ID: <plan1@x.example>"), "\\Seen")
    other = room.add(box, letter("b", "Else", "Message-ID: <else@x.example>"), "\\Seen")
    reply = room.add(box, letter("c", "Re: Plan", "Message-ID: <plan2@x.example>", "References: <plan1@x.example>"))
    assert shown(petra, box, threads="1") == [reply, other]
    page = petra.get("/mail/", params={"mailbox": box})
    assert f'value="{first},{reply}"' in page.text and '<span class="number">2</span>' in page.text
    newest = room.add(box, letter("d", "Re: Else", "References: <else@x.example>"), "\\Seen")
    assert shown(petra, box) == [newest, reply]
    do(petra, box, "delete", other, newest)
    assert shown(petra, box) == [reply]
    assert shown(petra, box, threads="0") == [reply, first]


def test_flags_and_labels(petra: Visitor, room: Mailroom) -> None:
    box = room.mailbox()
    one, two = (room.add(box, letter("x", f"Flags {n}")) for n in range(2))
    do(petra, box, "read", one, two)
    do(petra, box, "flag", one)
    do(petra, box, "label", two, label="Büro am Fluss")
    assert "\\Seen" in room.flags(box, one) and "\\Flagged" in room.flags(box, one)
    assert "Büro am Fluss" in words(petra.get("/mail/", params={"mailbox": box}))
    assert shown(petra, box, q='label:"Büro am Fluss"') == [two]
    do(petra, box, "unlabel", two, label="Büro am Fluss")
    do(petra, box, "unread", two)
    assert room.flags(box, two) in ("", "\\Recent") and shown(petra, box, q="is:unread") == [two]
    petra.post("/mail/act", mailbox=box, star=f"unflag:{one}")
    assert "\\Flagged" not in room.flags(box, one)
    for label in ("", "\\Seen", "$Junk", "x" * 80, "a(b", "%"):
        assert "A label has" in do(petra, box, "label", one, label=label), label


def test_moved_copied_deleted_junk(petra: Visitor, room: Mailroom) -> None:
    box, other = room.mailbox(), room.mailbox()
    a, b, c, d = (room.add(box, letter("x", f"Move {n}")) for n in range(4))
    assert f"Moved to {other}: 1" in do(petra, box, "move", a, to=other)
    assert f"Copied to {other}: 2" in do(petra, box, "copy", b, c, to=other)
    assert room.count(other) == 3 and room.count(box) == 3
    junk = room.count("Junk")
    assert "Moved to Junk: 1" in do(petra, box, "junk", b)
    assert room.count("Junk") == junk + 1
    trash = room.count("Trash")
    do(petra, box, "delete", c)
    assert room.count("Trash") == trash + 1
    in_trash = shown(petra, "Trash")[0]
    assert "Deleted for good: 1" in do(petra, "Trash", "delete", in_trash)
    assert room.count("Trash") == trash
    do(petra, box, "archive", d)
    assert room.count(box) == 0
    assert "Choose messages first" in do(petra, box, "delete")
    assert "Choose a folder" in do(petra, other, "move", 1, to="")
    assert "no such action" in do(petra, other, "format", 1)
    assert petra.post("/mail/act", mailbox=other, do="move", uid="1", to="nowhere/at all").status_code == 404
    assert room.count(other) == 3


def test_everything_that_a_search_found(petra: Visitor, room: Mailroom) -> None:
    box, other = room.mailbox(), room.mailbox()
    for n in range(60):
        room.add(box, letter("x", "Even" if n % 2 else "Odd"))
    assert f"Moved to {other}: 30" in do(petra, box, "move", to=other, everything="1", q="subject:even")
    assert room.count(box) == 30 and room.count(other) == 30


def test_what_is_new_is_told(petra: Visitor, room: Mailroom) -> None:
    box = room.mailbox()
    assert petra.get("/mail/news").json()[box] == {"messages": 0, "unseen": 0, "next": 1}
    room.add(box, letter("x"))
    assert petra.get("/mail/news").json()[box] == {"messages": 1, "unseen": 1, "next": 2}


def test_he_is_sent_to_pages_of_ours_only(petra: Visitor, many: tuple[str, list[int]]) -> None:
    box, uids = many
    answer = petra.post(
        "/mail/act", allow_redirects=False, mailbox=box, do="read", uid=str(uids[0]), back="https://evil.example/"
    )
    assert answer.headers["Location"] == "/"
