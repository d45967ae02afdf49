"""Transcripts over the core with an in-memory port, and what any octets may do to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.port import Login
from gateway.ask import Ask
from gateway.imap import commands, names
from gateway.imap.content import Clock, Content, ReadContents, SearchContents
from gateway.imap.fetch_body import body_at_once
from gateway.imap.fetch_items import Body, parse_items
from gateway.imap.listing import Listed, ListMailboxes
from gateway.imap.parser import Parser
from gateway.imap.ports import Authenticate, Expunge, Opened, OpenMailbox, Refresh
from gateway.imap.registry import CAPABILITIES
from gateway.imap.search_subject import Subject
from gateway.imap.session import Session
from gateway.imap.settings import ImapSettings
from gateway.imap.status_items import Figures, Status
from gateway.imap.view import Contents, Row, View
from gateway.mime import scan

MAILBOXES = {"INBOX": 1, "Work/Ärzte": 2, "Work": 3}
STORED = b"Subject: x\n\nline\nmore\n"
LOGIN = b"1 LOGIN jane secret\r\n"
assert commands.COMMANDS


def answer(request: object) -> object:
    if isinstance(request, Authenticate):
        return Login("id:jane", "test")
    if isinstance(request, ListMailboxes):
        return tuple(Listed(name) for name in sorted(MAILBOXES))
    if isinstance(request, Status):
        return {name: Figures(3, 2, 1, 9, 77, 5) for name in request.names if name in MAILBOXES}
    if isinstance(request, OpenMailbox):
        contents = Contents(("id:jane", 1, ""), 77)
        rows = (Row(7, 3, b"", 25, 86400.5), Row(8, 4, b"\\Seen work", 6, 0.0))
        contents.apply(rows, (), uidnext=9, modseq=5)
        return Opened(request.name, request.read_only, View(contents)) if request.name in MAILBOXES else None
    if isinstance(request, Clock):
        return 1e9
    if isinstance(request, Refresh | Expunge):
        return True
    if isinstance(request, ReadContents):
        return {7: Content(len(STORED), STORED, scan(STORED))} if 7 in request.uids else {}
    if isinstance(request, SearchContents):
        subject = Subject(
            Content(len(STORED), STORED, scan(STORED)), lambda s, e: STORED[s:e], has_header=True, has_body=True
        )
        return {message.uid: request.test(message, subject) for message in request.messages if message.uid == 7}
    raise AssertionError(request)


def talk(*chunks: bytes) -> bytes:
    session = Session(ImapSettings(), "mail.example", "192.0.2.1", tls="TLSv1.3")
    out = b""
    for chunk in chunks:
        session.receive(chunk)
        while not session.closing and (dialogue := session.next_dialogue()) is not None:
            reply: object = None
            while True:
                try:
                    step = dialogue.send(reply)
                except StopIteration:
                    break
                reply = answer(step.request) if isinstance(step, Ask) else None
                out += b"" if isinstance(step, Ask) else step
    return out


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (
            b"2 NAMESPACE\r\n",
            b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared/" "/"))\r\n2 OK NAMESPACE completed\r\n',
        ),
        (b"2 NAMESPACE x\r\n", b"2 BAD "),
        (b'2 ID ("name" "x" "os" NIL)\r\n', b'* ID ("name" "Gatepost")\r\n2 OK '),
        (b"2 ID NIL\r\n", b'* ID ("name" "Gatepost")\r\n2 OK '),
        (b'2 ID ("name")\r\n', b"2 BAD "),
        (b"2 ID (" + b" ".join([b'"a" "b"'] * 31) + b")\r\n", b"2 BAD too many"),
        (b"2 UNSELECT\r\n", b"2 BAD not allowed when authenticated"),
        (b"2 SELECT INBOX\r\n3 UNSELECT\r\n4 CHECK\r\n", b"3 OK UNSELECT completed\r\n4 BAD not allowed"),
        (
            b"2 SELECT INBOX\r\n3 CHECK\r\n4 CLOSE\r\n5 CLOSE\r\n",
            b"3 OK CHECK completed\r\n4 OK CLOSE completed\r\n5 BAD",
        ),
        (b'2 LIST "" ""\r\n', b'* LIST (\\Noselect) "/" ""\r\n2 OK '),
        (b'2 LIST "" %\r\n', b'* LIST (\\HasNoChildren) "/" "INBOX"\r\n* LIST (\\HasChildren) "/" "Work"\r\n2 OK '),
        (b"2 LIST work/ *\r\n", b"logged in\r\n2 OK LIST completed\r\n"),
        (b"2 LIST Work/ *\r\n", b'* LIST (\\HasNoChildren) "/" "Work/&AMQ-rzte"\r\n2 OK '),
        (b'2 LIST "" inbox\r\n', b'"INBOX"\r\n2 OK '),
        (b'2 LIST "" &AG-*\r\n', b"2 NO [CANNOT] "),
        (b"2 STATUS inbox (MESSAGES UNSEEN)\r\n", b'* STATUS "INBOX" (MESSAGES 3 UNSEEN 2)\r\n2 OK '),
        (b"2 STATUS INBOX (SIZES)\r\n", b"2 BAD "),
        (b"2 STATUS Gone (MESSAGES)\r\n", b"2 NO [NONEXISTENT] "),
        (b"2 SELECT Work/&AMQ-rzte\r\n", b"2 OK [READ-WRITE]"),
        (b"2 SELECT ../INBOX\r\n", b"2 NO [CANNOT] "),
        (b"2 SELECT a//b\r\n", b"2 NO [CANNOT] "),
        (b"2 SELECT &AGE-\r\n", b"2 NO [CANNOT] "),
    ],
)
def test_dialog(said: bytes, answered: bytes) -> None:
    assert answered in talk(LOGIN + said)


def test_every_announced_capability_comes_from_the_registry() -> None:
    announced = talk(b"1 CAPABILITY\r\n").splitlines()[0].decode().split()[2:]
    assert announced[:3] == ["IMAP4rev1", "IMAP4rev2", "LITERAL+"]
    assert set(announced[3:]) - set(CAPABILITIES) == {"APPENDLIMIT=52428800"}
    assert {"ENABLE", "ID", "NAMESPACE", "UNSELECT"} <= set(announced)


def test_before_login() -> None:
    assert talk(b'1 LIST "" *\r\n') == b"1 BAD not allowed when not authenticated\r\n"


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_names_survive_the_wire(name: str) -> None:
    assert names.decode(names.encode(name)) == name


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_octets_get_an_answer_the_same_however_split(octets: bytes, at: int) -> None:
    whole = LOGIN + octets + b"\r\n"
    if b"{" in octets or b"LOGIN" in octets.upper():
        return
    assert talk(whole) == talk(whole[: len(LOGIN) + at], whole[len(LOGIN) + at :])


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"FETCH 1 INTERNALDATE", b'* 1 FETCH (INTERNALDATE " 2-Jan-1970 00:00:00 +0000")\r\n3 OK '),
        (b"FETCH 1 BODY.PEEK[HEADER]", b"* 1 FETCH (BODY[HEADER] {14}\r\nSubject: x\r\n\r\n)\r\n3 OK "),
        (b"FETCH 1 RFC822.TEXT", b"* 1 FETCH (RFC822.TEXT {12}\r\nline\r\nmore\r\n)\r\n3 OK "),
        (b"FETCH 1 BODY[TEXT]<6.4>", b"* 1 FETCH (BODY[TEXT]<6> {4}\r\nmore)\r\n3 OK "),
        (b"FETCH 1 BODY[]<900.4>", b"* 1 FETCH (BODY[]<900> {0}\r\n)\r\n3 OK "),
        (b"UID FETCH 7 (RFC822.SIZE FLAGS)", b"* 1 FETCH (UID 7 RFC822.SIZE 25 FLAGS ())\r\n3 OK "),
        (b"FETCH 2 FLAGS", b"* 2 FETCH (FLAGS (\\Seen work))\r\n3 OK "),
        (b"UID FETCH 8:* FLAGS", b"* 2 FETCH (UID 8 FLAGS (\\Seen work))\r\n3 OK UID FETCH completed"),
        (b"UID FETCH 1:6,9:20 FLAGS", b"examined\r\n3 OK "),
        (b"FETCH 3 FLAGS", b"3 BAD there is no message of that number"),
        (b"UID NOOP", b"3 BAD unknown command"),
        (b"FETCH 2 BODY[]", b"2 OK [READ-ONLY] examined\r\n3 NO [EXPUNGEISSUED] "),
        (b"FETCH 1 BODY[]<0.0>", b"3 BAD "),
        (b"FETCH 1 BODY[", b"3 BAD "),
        (b"FETCH 1 (UID", b"3 BAD "),
    ],
)
def test_fetch(said: bytes, answered: bytes) -> None:
    assert answered in talk(LOGIN + b"2 EXAMINE INBOX\r\n3 " + said + b"\r\n")


@pytest.mark.parametrize(
    ("item", "stored", "expected"),
    [
        (b"BODY[HEADER]", b"A: b\n", b"BODY[HEADER] {6}\r\nA: b\r\n"),
        (b"BODY[TEXT]", b"A: b\n", b"BODY[TEXT] {0}\r\n"),
        (b"BODY[HEADER]", b"\nx", b"BODY[HEADER] {2}\r\n\r\n"),
        (b"BODY[TEXT]", b"\nx", b"BODY[TEXT] {1}\r\nx"),
    ],
)
def test_a_message_without_body_or_header(item: bytes, stored: bytes, expected: bytes) -> None:
    (body,) = parse_items(Parser((item,)))
    assert isinstance(body, Body)
    assert body_at_once(body, Content(len(stored), stored, scan(stored))) == expected
