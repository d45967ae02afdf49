"""Subscribing by mail: whom it believes, what it ignores, what reaches the agent; the agent's side over a real port."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dkim_signing import signed
from list_company import BASE, Desk, entry

from directory.model import Condition, Deferred, MailingList
from directory.write_problem import WriteProblem
from gateway.control.server import ControlServer, Right, Verb, VerbError
from gateway.lists.requests import Request, author_of, is_automatic, is_member_wish, member_wish_token, request_of
from gateway.mail.header import scan
from gateway.service.agent_subscriptions import Subscription, _written
from gateway.service.list_facts import HostListFacts

TOKEN = "a" * 26


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("subscribe", Request("subscribe")), ("Unsubscribe ", Request("unsubscribe")), ("HELP", Request("help")),
        (f"Re: AW: confirm {TOKEN.upper()}", Request("confirm", TOKEN)), (f"回复：confirm {TOKEN}", Request("confirm", TOKEN)),
        (f"admit New@far.example {TOKEN}", Request("admit", TOKEN, "New@far.example")),
        ("=?utf-8?q?subscribe?=", Request("subscribe")), (f"approve {TOKEN}", Request("approve", TOKEN)),
        ("subscribe me please", None), ("confirm", None), (f"confirm {TOKEN}a", None), (f"out of office: confirm {TOKEN}", None),
        ("", None),
    ],
)  # fmt: skip
def test_requests(subject: str, expected: Request | None) -> None:
    assert request_of(scan(f"From: a@x\nSubject: {subject}\n\nsubscribe\n".encode())) == expected


def test_who_writes() -> None:
    assert author_of(scan(b"From: A <A.B@Far.Example>\n\n")) == "a.b@far.example"
    for head in (
        b"From: a@x.example, b@x.example\n",
        b"From: a@x.example\nFrom: b@x.example\n",
        b"From: nobody\n",
        b"",
    ):
        assert author_of(scan(head + b"\n")) == ""
    for head in (b"Auto-Submitted: auto-replied\n", b"Precedence: bulk\n", b"List-Id: <x.y>\n"):
        assert is_automatic(scan(head + b"\n"))
    assert not is_automatic(scan(b"Auto-Submitted: no\nFrom: a@x\n\n"))


def test_a_token_is_for_one_list_wish_address_and_some_days() -> None:
    key, now = b"k" * 32, 1_000_000.0
    token = member_wish_token(key, "t:1", "subscribe", "a@x", now)
    assert is_member_wish(token, key, "t:1", "subscribe", "a@x", now + 3 * 86400, 3)
    assert not is_member_wish(token, key, "t:1", "subscribe", "a@x", now + 4 * 86400, 3)
    for other in (("t:2", "subscribe", "a@x"), ("t:1", "unsubscribe", "a@x"), ("t:1", "subscribe", "b@x")):
        assert not is_member_wish(token, key, *other, now, 3)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, gatepostSubscription="open")
    yield made
    made.close()


def asked(desk: Desk, octets: bytes, answer: Any = None, **more: Any) -> list[tuple[str, str]]:
    """What reached the agent."""
    found: list[tuple[str, str]] = []

    def verb(caller: object, wanted: Subscription) -> dict[str, int]:
        found.append((wanted.operation, wanted.address))
        if answer is not None:
            raise answer
        return {"number": 1}

    async def story() -> None:
        server = await ControlServer({"list-subscription": Verb(Right.SERVE, verb, Subscription)}).start(desk.agent)
        try:
            await desk.handle("request", octets, **more)
        finally:
            server.close()

    asyncio.run(story())
    return found


ASK = b"From: new@far.example\nSubject: subscribe\n\n"


def test_the_address_is_asked_first_and_not_again_at_once(desk: Desk) -> None:
    assert asked(desk, ASK) == asked(desk, ASK) == []
    ((recipients, path, octets),) = desk.sent()
    assert (recipients, path) == (["new@far.example"], "")
    match = re.search(rb"confirm%20([a-z2-7]{26})", octets.replace(b"=\n", b""))
    assert match is not None
    confirm = b"From: %s\nSubject: confirm " + match[1] + b"\n\n"
    assert asked(desk, confirm % b"other@far.example") == []
    assert desk.sent()[0][0] == ["team-owner@example.com"]
    assert asked(desk, confirm % b"new@far.example") == [("subscribe", "new@far.example")]
    assert b"You are a member" in desk.sent()[0][2]
    desk.now += 5 * 86400
    assert asked(desk, confirm % b"new@far.example") == []


@pytest.mark.parametrize("octets", [ASK, ASK.replace(b"subscribe", b"help")])
def test_what_could_not_be_queued_is_asked_when_it_is_tried_again(
    desk: Desk, octets: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise Deferred(Condition.QUEUE_FULL, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(desk.queue, "inject", full)
        with pytest.raises(Deferred):
            asked(desk, octets)
    assert asked(desk, octets) == asked(desk, octets) == []
    assert len(desk.sent()) == 1


def test_a_login_is_proof_enough(desk: Desk) -> None:
    leave = b"From: ann@example.com\nSubject: unsubscribe\n\n"
    assert asked(desk, leave, login="t:uid=ann", return_path="ann@example.com") == [("unsubscribe", "ann@example.com")]


@pytest.mark.parametrize(
    ("author", "signer", "is_done"),
    [("own@example.com", "example.com", True), ("own@example.com", "far.example", False), ("ann@example.com", "example.com", False)],
)  # fmt: skip
def test_an_owner_admits_by_a_signature_too(
    desk: Desk, tmp_path: Path, author: str, signer: str, is_done: bool
) -> None:
    key = HostListFacts(desk.state, tmp_path / "lists.key").key
    token = member_wish_token(key, desk.team.id, "admit", "new@far.example", desk.now)
    text = f"From: {author}\nSubject: admit new@far.example {token}\n\n".encode()
    octets, name, record = signed(text, tmp_path, signer)
    desk.dns[name] = record.encode()
    assert asked(desk, octets) == ([("subscribe", "new@far.example")] if is_done else [])


def test_a_signature_lets_nobody_have_mail_again(desk: Desk, tmp_path: Path) -> None:
    """There is no token in that wish: an old message could be sent again."""
    octets, name, record = signed(
        b"From: own@example.com\nSubject: unpark out@far.example\n\n", tmp_path, "example.com"
    )
    desk.dns[name] = record.encode()
    asked(desk, octets)
    assert [one[0] for one in desk.sent()] == [["team-owner@example.com"]]
    asked(desk, octets, login="t:uid=own", return_path="own@example.com")
    assert [one[0] for one in desk.sent()] == [["own@example.com"]]


@pytest.mark.parametrize(
    ("octets", "return_path"), [(ASK, ""), (b"Auto-Submitted: auto-replied\n" + ASK, "x@y.example"), (b"Precedence: list\n" + ASK, "x@y")]
)  # fmt: skip
def test_programs_are_not_answered(desk: Desk, octets: bytes, return_path: str) -> None:
    assert asked(desk, octets, return_path=return_path) == []
    assert desk.sent() == []


def test_trouble_is_temporary_and_a_no_is_told(desk: Desk) -> None:
    octets = b"From: ann@example.com\nSubject: subscribe\n\n"
    with pytest.raises(Deferred):
        asked(desk, octets, VerbError("directory away", 4), login="t:uid=ann")
    with pytest.raises(Deferred):  # no agent at all
        asyncio.run(desk.handle("request", octets, login="t:uid=ann"))
    assert desk.sent() == []
    asked(desk, octets, VerbError("read-only", 5), login="t:uid=ann")
    assert b"could not be done" in desk.sent()[0][2]


class Port:
    """Notes what would be written."""

    def __init__(self, desk: Desk) -> None:
        self.directory = desk.view
        self.wishes: list[tuple[str, str, tuple[str, ...]]] = []

    def change(self, actor: object, entry: MailingList, wishes: Any, *, verb: str) -> Any:
        self.wishes = [(wish.field, wish.operation, wish.values) for wish in wishes]


@pytest.mark.parametrize(
    ("operation", "address", "expected"),
    [
        ("subscribe", "New@far.example", [("member_addresses", "add", ("new@far.example",))]),
        ("subscribe", "own@example.com", [("members", "add", (f"uid=own,{BASE}",))]),
        ("subscribe", "ann@example.com", []),
        ("subscribe", "out@far.example", []),
        ("subscribe", "never@far.example", [("exclude_addresses", "remove", ("Never@far.example",)),
                                            ("member_addresses", "add", ("never@far.example",))]),
        ("unsubscribe", "ann@example.com", [("members", "remove", (f"uid=ann,{BASE}",))]),
        ("unsubscribe", "out@far.example", [("member_addresses", "remove", ("out@far.example",))]),
        ("unsubscribe", "mod@example.com", [("exclude_addresses", "add", ("mod@example.com",))]),
        ("unsubscribe", "stranger@far.example", []),
    ],
)  # fmt: skip
def test_what_is_written(tmp_path: Path, operation: Any, address: str, expected: list[Any]) -> None:
    desk = Desk(tmp_path, gatepostSubscription="open", member=[f"uid=ann,{BASE}", f"cn=mods,{BASE}"],
                gatepostExcludeAddress="Never@far.example")  # fmt: skip
    port = Port(desk)
    _written(port, Subscription(desk.team.id, operation, address))  # type: ignore[arg-type]
    assert port.wishes == expected
    desk.close()


def test_a_closed_list_is_never_touched(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.source.put(entry("cn=notalist", "groupOfNames", cn="notalist", member=f"uid=ann,{BASE}"))
    for list_id in (desk.team.id, "t:uid=ann", "t:cn=notalist", "t:gone"):
        with pytest.raises(WriteProblem):
            _written(Port(desk), Subscription(list_id, "subscribe", "x@far.example"))  # type: ignore[arg-type]
    desk.close()
