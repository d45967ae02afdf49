"""The same messages in Gatepost and in Debian's Dovecot: what FETCH, SEARCH, SORT, THREAD and LIST answer.

Differences are those of dovecot_differences.py, each with the sentence of the standard that decides it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import dovecot_differences as differences
import pytest
from conftest import RunningDemo
from mail_corpus import corpus
from packaged_dovecot import PASSWORD, dovecot
from plain_imap import Answer, PlainImap, connected, values

pytestmark = pytest.mark.xdist_group("mail-programs")

CORPUS = corpus()
NAMES = list(CORPUS)
THREADS = NAMES.index("thread-root") + 1
FLAGS = (rb"\Seen", rb"\Flagged", rb"$Work \Answered", b"")
_AT_ONCE = 60


class Pair(NamedTuple):
    ours: PlainImap
    theirs: PlainImap


def _fill(session: PlainImap) -> None:
    """The whole corpus as mailbox Beside, whose UIDs are then 1, 2, ..."""
    session.good(b"CREATE Beside")
    for start in range(0, len(NAMES), _AT_ONCE):
        text, octets = b"APPEND Beside", []
        for number in range(start, min(start + _AT_ONCE, len(NAMES))):
            text += b' (%b) "%02d-Mar-2026 12:%02d:%02d +0100" %%' % (
                FLAGS[number % 4], 1 + number % 28, number % 60, number * 7 % 60,
            )  # fmt: skip
            octets.append(CORPUS[NAMES[number]].replace(b"\n", b"\r\n"))
        session.good(text, *octets)
    session.good(b"SELECT Beside")


@pytest.fixture(scope="module")
def pair(busy: RunningDemo) -> Iterator[Pair]:
    account = busy.facts["accounts"][0]
    with connected(busy.port("imap"), account["login"], account["password"]) as ours, dovecot() as beside:
        with connected(beside.imap, "tester", PASSWORD) as theirs:
            _fill(ours)
            _fill(theirs)
            yield Pair(ours, theirs)
        ours.good(b"UNSELECT")
        ours.good(b"DELETE Beside")


def _lowered(value: Any) -> Any:
    """MIME names without their case, which means nothing (RFC 2045 5.1)."""
    if isinstance(value, list):
        return [_lowered(each) for each in value]
    return value.lower() if isinstance(value, bytes) else value


def _comparable(item: str, value: Any) -> Any:
    if item in ("BODY", "BODYSTRUCTURE"):
        return _lowered(value)
    if item == "FLAGS":
        return sorted(flag for flag in value if flag != rb"\Recent")  # which RFC 9051 2.3.2 has no more
    if item == "INTERNALDATE":
        return value.replace(b" ", b"0", 1) if value.startswith(b" ") else value  # RFC 9051 9, date-day-fixed
    return value


@pytest.mark.parametrize(
    "item",
    [
        "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "BODY", "RFC822.HEADER", "BODY[]", "BODY[HEADER]",
        "BODY[TEXT]", "BODY[]<10.30>", "BODY[TEXT]<0.5>", "BODY[]<99999.5>", "BODY[HEADER]<5.10000>",
        "BODY[HEADER.FIELDS (SUBJECT X-TEST FROM)]", "BODY[HEADER.FIELDS.NOT (SUBJECT RECEIVED TO)]",
    ],
)  # fmt: skip
def test_items_of_messages(pair: Pair, item: str) -> None:
    asked = item.replace("BODY[", "BODY.PEEK[")
    command = f"UID FETCH 1:* ({asked})".encode()
    ours, theirs = pair.ours.fetch(command), pair.theirs.fetch(command)
    assert list(ours) == list(theirs) == list(range(1, len(NAMES) + 1))
    found = {}
    for uid, name in enumerate(NAMES, 1):
        (mine,), (other,) = ours[uid].values(), theirs[uid].values()
        if _comparable(item, mine) != _comparable(item, other):
            found[name] = (mine, other)
    expected = {name for names in differences.FETCHED.get(item, {}).values() for name in names}
    assert set(found) == expected, {name: found.get(name) for name in set(found) ^ expected}


def _part(structure: list[Any], path: tuple[int, ...]) -> list[Any] | None:
    """The part of a BODYSTRUCTURE that has this number (RFC 9051 6.4.5.1), None when there is none."""
    entity: list[Any] | None = structure
    part: list[Any] | None = None
    for number in path:
        if part is not None:
            if isinstance(part[0], list):
                entity = part
            elif _is_message(part):
                entity = part[8]
            else:
                return None
        assert entity is not None
        if isinstance(entity[0], list):
            subtype = next(at for at, each in enumerate(entity) if not isinstance(each, list))
            children = entity[:subtype]
            part = children[number - 1] if number <= len(children) else None
        else:
            part = entity if number == 1 else None
        if part is None:
            return None
    return part


def _is_message(part: list[Any]) -> bool:
    return [each.lower() for each in part[:2] if isinstance(each, bytes)] == [b"message", b"rfc822"]


@pytest.mark.parametrize("path", [(1,), (2,), (3,), (1, 1), (1, 2), (2, 1), (2, 2), (1, 1, 1)])
def test_sections_of_parts(pair: Pair, path: tuple[int, ...]) -> None:
    number = ".".join(map(str, path))
    kinds = ("", ".MIME", ".HEADER", ".TEXT", ".HEADER.FIELDS (SUBJECT FROM)", ".HEADER.FIELDS.NOT (SUBJECT)")
    asked = " ".join(f"BODY.PEEK[{number}{kind}]" for kind in kinds) + f" BODY.PEEK[{number}]<3.20>"
    command = f"UID FETCH 1:* (BODYSTRUCTURE {asked})".encode()
    ours, theirs = pair.ours.fetch(command), pair.theirs.fetch(command)
    there = 0
    for uid, name in enumerate(NAMES, 1):
        part = _part(ours[uid].pop(b"BODYSTRUCTURE"), path)
        theirs[uid].pop(b"BODYSTRUCTURE")
        for label, value in ours[uid].items():
            is_of_message = b"HEADER" in label or b"TEXT" in label
            if part is None or (is_of_message and not _is_message(part)):
                # RFC 9051 6.4.5.1: there is no such section; Dovecot takes what is not a message for its own part 1
                assert value is None, (name, label, value)
            else:
                assert value == theirs[uid][label], (name, label)
                there += 1
    assert there


@pytest.mark.parametrize("number", ["1", "2", "1.1", "2.1"])
def test_decoded_parts(pair: Pair, number: str) -> None:
    unknown = NAMES.index("unknown-encoding") + 1
    command = b"UID FETCH 1:%d,%d:* (BODYSTRUCTURE BINARY.PEEK[%b] BINARY.SIZE[%b])" % (
        unknown - 1, unknown + 1, number.encode(), number.encode(),
    )  # fmt: skip
    ours, theirs = pair.ours.fetch(command), pair.theirs.fetch(command)
    for uid in ours:
        part = _part(ours[uid].pop(b"BODYSTRUCTURE"), tuple(map(int, number.split("."))))
        octets, size = ours[uid].values()
        if part is None:
            assert octets is None, NAMES[uid - 1]
        elif isinstance(part[0], list) or _is_message(part):
            # RFC 2045 6.4: these have no encoding to undo; Dovecot undoes that of the parts inside
            assert size == len(octets)
        else:
            assert list(theirs[uid].values())[1:] == [octets, size], NAMES[uid - 1]
    for session in pair:
        said = session.command(b"UID FETCH %d (BINARY.PEEK[1])" % unknown).said
        assert said.startswith(b"NO [UNKNOWN-CTE]")  # RFC 3516 4.3


KEYS = [
    "ALL", "SEEN", "UNSEEN", "FLAGGED", "ANSWERED", "KEYWORD $Work", "UNKEYWORD $Work", "DELETED", "DRAFT", "UNDRAFT", "1:10",
    "5,7,160:*", "UID 3:9", "500:*", "*", "LARGER 400", "SMALLER 150", "BEFORE 10-Mar-2026", "ON 10-Mar-2026",
    "SINCE 20-Mar-2026", "SENTBEFORE 3-Mar-2026", "SENTON 3-Mar-2026", "SENTSINCE 3-Mar-2026", "FROM ann", 'FROM "Ann Author"',
    "FROM ann@example.com", "TO bob@example.org", "TO Friends", "CC c@example", "BCC hidden", "SUBJECT budget", 'SUBJECT ""',
    "SUBJECT Grüß", "SUBJECT 会议", "SUBJECT 项目", "SUBJECT caf", "SUBJECT café", "FROM jürgen", "FROM 张伟", 'HEADER X-Test ""',
    "HEADER X-Test two", 'HEADER X-Test "two folded"', 'HEADER Subject ""', 'HEADER Message-ID ""', "HEADER Message-ID plain@",
    'HEADER Received "from c by"', "HEADER References root@t", 'HEADER In-Reply-To ""', 'HEADER Bcc ""', 'HEADER Cc ""',
    'HEADER From ""', "HEADER To <bob", 'HEADER To "Bob <bob@"', "BODY hello", "BODY there", "BODY 你好", "BODY grüße", "BODY html",
    "BODY inside", "BODY inner", "BODY <p>", "BODY dot.png", "BODY failed", "BODY plain", "BODY Final-Recipient", "TEXT inside",
    "TEXT budget", "TEXT example.org", "TEXT multipart", "TEXT base64", "TEXT 会议", 'BODY "This is MIME"', 'BODY "The end"',
    'BODY "gut, Ende"', "NOT SEEN", "OR SEEN FLAGGED", "NOT (SEEN SUBJECT date)", "OR (FROM ann SUBJECT date) (TO list LARGER 200)",
    "SUBJECT re FROM reply", "NOT NOT FLAGGED", "(SEEN) (UNANSWERED)", "OLDER 1000", "YOUNGER 1000",
    "SUBJECT date SENTSINCE 3-Mar-2026 SENTBEFORE 4-Mar-2026", "SUBJECT word", 'SUBJECT "first second"', 'SUBJECT "second third"',
    'TEXT "Content-Type"', "HEADER Content-Type html", "BODY Content-Type", "TEXT Content-ID", 'BODY "body only"', "FROM MISSING",
    'TO undisclosed', 'CC ""', 'FROM ""', "HEADER Date 2026", 'SUBJECT "say \\"yes"', 'FROM "Author, Ann"', "UID 500:*",
]  # fmt: skip


def _searched(session: PlainImap, key: str) -> set[str]:
    pieces, octets = [], []
    for word in key.split(" "):
        pieces.append(word if word.isascii() else "%")
        octets += [] if word.isascii() else [word.encode()]
    answer = session.good(f"UID SEARCH CHARSET UTF-8 {' '.join(pieces)}".encode(), *octets)
    return {NAMES[int(uid) - 1] for uid in answer.only(b"SEARCH")[0].split()}


def test_keys_of_search(pair: Pair) -> None:
    found = {}
    for key in KEYS:
        ours, theirs = _searched(pair.ours, key), _searched(pair.theirs, key)
        if ours != theirs:
            found[key] = (ours - theirs, theirs - ours)
    expected = set(differences.SEARCHED)
    assert set(found) == expected, {key: found.get(key) for key in set(found) ^ expected}


@pytest.mark.parametrize(
    "key",
    [
        "ARRIVAL", "REVERSE ARRIVAL", "SIZE", "REVERSE SIZE", "DATE", "REVERSE DATE", "SUBJECT", "FROM", "TO", "CC",
        "SUBJECT DATE", "FROM REVERSE SUBJECT", "DISPLAYFROM", "DISPLAYTO",
    ],
)  # fmt: skip
def test_keys_of_sort(pair: Pair, key: str) -> None:
    elsewhere = {name for word, (_, names) in differences.SORTED.items() if word in key for name in names}

    def order(session: PlainImap) -> list[str]:
        uids = session.good(f"UID SORT ({key}) UTF-8 ALL".encode()).only(b"SORT")[0].split()
        return [name for uid in uids if (name := NAMES[int(uid) - 1]) not in elsewhere]

    ours = order(pair.ours)
    assert len(ours) == len(NAMES) - len(elsewhere)
    assert ours == order(pair.theirs)


@pytest.mark.parametrize("algorithm", ["REFERENCES", "REFS", "ORDEREDSUBJECT"])
@pytest.mark.parametrize("keys", ["ALL", f"{THREADS}:*", "TO list", "SUBJECT budget"])
def test_threads(pair: Pair, algorithm: str, keys: str) -> None:
    command = f"UID THREAD {algorithm} UTF-8 {keys}".encode()
    ours, theirs = (values(session.good(command).only(b"THREAD")[0]) for session in pair)
    if algorithm == "REFS":  # draft-ietf-morg-inthread-01 5: by the last arrival; Dovecot puts them by their dates
        ours, theirs = sorted(map(str, ours)), sorted(map(str, theirs))
    assert ours
    assert ours == theirs


def _listed(answer: Answer) -> list[tuple[Any, ...]]:
    """LIST lines without attributes that may be told unasked: the children, what is subscribed (RFC 5258 4)."""
    found: list[tuple[Any, ...]] = []
    for line in answer.lines:
        kind, *rest = values(line)
        if kind in (b"LIST", b"LSUB"):
            kept = {flag.lower() for flag in rest[0]} - {rb"\haschildren", rb"\hasnochildren", rb"\subscribed"}
            found.append((kind, sorted(kept), *rest[1:]))
        elif kind == b"STATUS":
            found.append((kind, *rest))
    return sorted(found, key=str)


def test_lists(pair: Pair) -> None:
    for session in pair:
        for name in (b"Beside/a", b"Beside/a/b", b"Beside/c", b"Beside/&T2BZfQ-", b"Beside/d", b"Beside/d/e"):
            session.good(b"CREATE " + name)
        for name in (b"Beside/a", b"Beside/a/b", b"Beside/d/e"):
            session.good(b"SUBSCRIBE " + name)
    for command in (
        'LIST "" Beside*', 'LIST "" Beside/%', "LIST Beside/ %", 'LIST "" Beside', 'LIST "" "Beside/%/%"', 'LIST "" *b',
        'LIST "" (Beside/a Beside/c)', 'LIST (SUBSCRIBED) "" Beside*', 'LIST (SUBSCRIBED RECURSIVEMATCH) "" Beside/%',
        'LIST "" Beside/% RETURN (CHILDREN)', 'LIST "" Beside* RETURN (SUBSCRIBED CHILDREN)',
        'LIST "" Beside RETURN (STATUS (MESSAGES UIDNEXT UNSEEN))', 'LIST (REMOTE) "" Beside/c', 'LSUB "" Beside*', 'LSUB "" Beside/%',
        'LIST "" ""', 'LIST "" inbox', 'LIST (SUBSCRIBED) "" Beside* RETURN (CHILDREN)', 'LIST (RECURSIVEMATCH SUBSCRIBED) "" Beside',
        'LIST () "" Beside/c', 'LIST (RECURSIVEMATCH) "" %', 'LIST (NONSENSE) "" %', 'LIST "" % RETURN (NONSENSE)',
    ):  # fmt: skip
        ours, theirs = (session.command(command.encode()) for session in pair)
        assert ours.said.split()[0] == theirs.said.split()[0], (command, ours.said, theirs.said)
        assert _listed(ours) == _listed(theirs), command
    for session in pair:
        for name in (b"Beside/d/e", b"Beside/d", b"Beside/&T2BZfQ-", b"Beside/c", b"Beside/a/b", b"Beside/a"):
            session.good(b"UNSUBSCRIBE " + name)
            session.good(b"DELETE " + name)
