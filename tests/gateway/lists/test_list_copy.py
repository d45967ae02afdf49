"""The list's copy as a table: what changes in a header, and that nothing else does."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.model import MailingList
from gateway.lists.addresses import bounce_address, member_path, member_token, served
from gateway.lists.copy import Rewriting, copied, has_seen, list_id
from gateway.mail.header import scan

PLAIN = Rewriting()


def team(**more: object) -> MailingList:
    return MailingList(id="t:1", dn="cn=team", mail="Team@example.com",
                       addresses=("group@example.com", "team@example.com"), **more)  # type: ignore[arg-type]  # fmt: skip


def copy(text: bytes, mailing_list: MailingList, how: Rewriting = PLAIN) -> bytes:
    return b"".join(copied([text], mailing_list, how))


def field(octets: bytes, name: str) -> str | None:
    return message_from_bytes(octets, policy=policy.default)[name]


OWN = b"List-Id: <team.example.com>\nList-Post: <mailto:team@example.com>\nX-Loop: team@example.com\nPrecedence: list\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"From: a@x\n\nbody\n", b"From: a@x\n" + OWN + b"\nbody\n"),
        (b"From: a@x\n", b"From: a@x\n" + OWN),
        (b"From: a@x", b"From: a@x\n" + OWN),
        (b"\nbody\n", OWN + b"\nbody\n"),
        (b"A: 1\nList-Id: <other.example>\nB: 2\nList-Unsubscribe:\n <mailto:u@x>\nPrecedence: bulk\nC: 3\n\nb\n",
         b"A: 1\nB: 2\nC: 3\n" + OWN + b"\nb\n"),
        (b"DKIM-Signature: v=1; h=subject:from\nSubject: x\nX-Loop: else@x\n\nb",
         b"DKIM-Signature: v=1; h=subject:from\nSubject: x\nX-Loop: else@x\n" + OWN + b"\nb"),
    ],
)  # fmt: skip
def test_header(before: bytes, after: bytes) -> None:
    assert copy(before, team()) == after


@pytest.mark.parametrize(
    ("tag", "before", "after"),
    [
        ("[Team]", b"Subject: hello\n", b"Subject: [Team] hello\n"),
        ("[Team]", b"Subject: Re: [TEAM] hello\n", b"Subject: Re: [TEAM] hello\n"),
        ("[Team]", b"Subject: Re: hello\n there\n", b"Subject: [Team] Re: hello\n there\n"),
        ("[Team]", b"Subject: =?utf-8?B?W1RlYW1dIGhp?=\n", b"Subject: =?utf-8?B?W1RlYW1dIGhp?=\n"),
        ("[Team]", b"Subject:\n", b"Subject: [Team] \n"),
        ("[Te\nam:\r\nX: y]", b"subject:hello\n", b"Subject: [Te am: X: y] hello\n"),
    ],
)
def test_subject_tag_comes_once(tag: str, before: bytes, after: bytes) -> None:
    assert copy(before + b"\nb\n", team(subject_tag=tag)).startswith(after + b"List-Id")


@pytest.mark.parametrize("subject", ["hello", "=?utf-8?B?5L2g5aW9?=", "Re: =?gb2312?B?xOO6ww==?= there"])
def test_a_tag_that_is_not_ascii_reads_well_before_any_subject(subject: str) -> None:
    mailing_list = team(subject_tag="【项目组】")
    once = copy(f"Subject: {subject}\n\n".encode(), mailing_list)
    assert (field(once, "Subject") or "").startswith("【项目组】 ")
    assert copy(once, mailing_list).count(b"Subject:") == 1
    assert field(copy(once, mailing_list), "Subject") == field(once, "Subject")
    assert field(copy(b"From: a@x\n\n", mailing_list), "Subject") == "【项目组】"


@pytest.mark.parametrize(
    ("reply_to", "own_from", "expected"),
    [
        (None, False, "ann@x"),
        ("sender", False, "ann@x"),
        ("list", False, "team@example.com"),
        ("Boss@Far.Example", False, "boss@far.example"),
        ("nonsense@", False, "ann@x"),
        ("a@b.example\nBcc: x@y", False, "ann@x"),
        ("sender", True, "ann@x"),
        ("list", True, "team@example.com"),
    ],
)
def test_reply_to(reply_to: str | None, own_from: bool, expected: str) -> None:
    octets = copy(b"From: b@x\nReply-To: ann@x\n\n", team(reply_to=reply_to), Rewriting(own_from))
    assert octets.lower().count(b"reply-to") == 1
    assert str(field(octets, "Reply-To")).lower() == expected
    assert b"Bcc" not in octets


@pytest.mark.parametrize(
    ("author", "name"),
    [
        (b"Ann Lee <ann@strict.example>", "Ann Lee via team"),
        (b'"Lee, Ann \\" x" <ann@strict.example>', None),
        (b"=?utf-8?B?5p2O5aic?= <ann@strict.example>", "李娜 via team"),
        (b"ann@strict.example", "ann via team"),
        (b'"ceo@bank.example" <ann@strict.example>', "ann via team"),
    ],
)
def test_own_from(author: bytes, name: str | None) -> None:
    octets = copy(b"Sender: s@strict.example\nFrom: " + author + b"\n\nb", team(), Rewriting(own_from=True))
    message = message_from_bytes(octets, policy=policy.default)
    (address,) = message["From"].addresses
    assert address.addr_spec == "team@example.com"
    assert name is None or address.display_name == name
    assert "ann@strict.example" in str(message["Reply-To"])
    assert message["X-Original-From"]
    assert message["Sender"] is None


def test_names_of_the_list() -> None:
    octets = copy(
        b"From: a@x\n\n", team(display_name='Das "Team"\nX: y', owners=("cn=x",), list_id="<Team.Lists.Example>")
    )
    assert b'List-Id: "Das \\"Team\\" X: y" <team.lists.example>\n' in octets
    assert b"List-Owner: <mailto:team-owner@example.com>\n" in octets
    assert list_id(team(list_id="no dots")) == "team.example.com"
    assert list_id(MailingList(id="1", dn="x")) == ""
    assert (
        copy(b"A: 1\n\n", MailingList(id="1", dn="x", subject_tag="[T]")) == b"A: 1\nSubject: [T]\nPrecedence: list\n\n"
    )


@pytest.mark.parametrize(
    ("head", "seen"),
    [
        (b"X-Loop: team@example.com\n", True),
        (b"X-Loop: other@example.com\nX-Loop: <TEAM@example.com>\n", True),
        (b"List-Id: The team <Team.example.com>\n", True),
        (b"List-Id: team.example.com\n", True),
        (b"List-Id: <team.example.com.evil.example>\nX-Loop: team@example.org\n", False),
        (b"Subject: X-Loop: team@example.com\n", False),
    ],
)
def test_loop(head: bytes, seen: bool) -> None:
    assert has_seen(scan(head + b"\n"), team()) is seen
    assert has_seen(scan(copy(head + b"\n", team())), team())


@given(st.lists(st.binary(max_size=40), max_size=8), st.booleans())
def test_however_the_message_is_cut_the_copy_is_the_same_and_the_body_untouched(pieces: list[bytes], own: bool) -> None:
    pieces = [b"From: a@x\nSubject: hello\n\n", *pieces]
    mailing_list, how = team(subject_tag="[T]", reply_to="list"), Rewriting(own)
    whole = b"".join(pieces)
    octets = copy(whole, mailing_list, how)
    assert b"".join(copied(pieces, mailing_list, how)) == octets
    assert b"".join(copied([whole[i : i + 7] for i in range(0, len(whole), 7)], mailing_list, how)) == octets
    assert octets.partition(b"\n\n")[2] == whole.partition(b"\n\n")[2]


def test_service_addresses() -> None:
    key = b"k" * 32
    path = member_path(team(), key, "out@far.example")
    assert path is not None
    local = path.partition("@")[0]
    assert served(local) == ("team", "-bounces", member_token(key, "t:1", "out@far.example"))
    assert (
        len({member_token(key, "t:1", "a@x"), member_token(key, "t:2", "a@x"), member_token(b"x", "t:1", "a@x")}) == 3
    )
    assert served("team-owner") == ("team", "-owner", "")
    assert [served(text) for text in ("-owner", "team", "team-owner+x", "-bounces+x", "ann+bounces")] == [None] * 5
    long = MailingList(id="t:2", dn="x", addresses=(f"{'x' * 50}@example.com",))
    assert member_path(long, key, "a@x") == bounce_address(long)
