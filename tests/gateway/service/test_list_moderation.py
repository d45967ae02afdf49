"""Posts that wait for moderators: kept, told of, decided on by who may, once, however often something is repeated."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from dkim_signing import signed
from list_company import BASE, Desk, entry

from directory.model import Account, Condition, Deferred
from directory.port import Freshness
from gateway.mail import dkim
from gateway.policy.restriction import Sender, is_moderated
from gateway.service.list_moderation import NoSuchPost

POST = b"From: A <a@x.example>\nSubject: =?utf-8?B?5L2g5aW9?=\n\nhello\n--held-\n"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, gatepostModeration="all")
    yield made
    made.close()


def token(octets: bytes, verb: str) -> str:
    (message,) = [
        p for p in message_from_bytes(octets, policy=policy.default).walk() if p.get_content_type() == "text/plain"
    ][:1]
    found = re.search(rf"mailto:team-request@example.com\?subject={verb}%20(\S+)", message.get_content())
    assert found is not None
    return found[1]


def test_a_post_is_kept_and_the_moderators_are_told(desk: Desk) -> None:
    asyncio.run(desk.handle("post", POST))
    ((recipients, path, octets),) = desk.sent()
    assert (recipients, path) == (["mod@example.com", "m@far.example"], "")
    message = message_from_bytes(octets, policy=policy.default)
    assert message["Auto-Submitted"] == "auto-generated"
    assert not message.defects
    text, original = message.iter_parts()
    assert original.get_content()["Subject"] == "你好"
    assert "审核" in text.get_content()
    (one,) = desk.desk.moderation.waiting(desk.team.id)
    assert (one.subject, one.author, one.return_path) == ("你好", "A <a@x.example>", "x@y.example")
    assert desk.desk.moderation.waiting("t:else") == []


def test_a_large_post_is_shown_by_its_header(desk: Desk) -> None:
    asyncio.run(desk.handle("post", POST + b"x\n" * 600_000))
    ((_, _, octets),) = desk.sent()
    assert len(octets) < 5000
    assert b"Content-Type: text/rfc822-headers" in octets


def test_what_is_repeated_after_a_crash_is_there_once(desk: Desk) -> None:
    asyncio.run(desk.handle("post", POST))
    asyncio.run(desk.handle("post", POST))
    (post,) = desk.held.ids()
    desk.sent()
    envelope, content = desk.held.read(post), list(desk.held.content(post))
    asyncio.run(desk.desk.moderation.decide(desk.team, post, "approve", "x"))
    desk.held.inject(envelope, content)  # as if the power had failed before the file went
    asyncio.run(desk.desk.moderation.decide(desk.team, post, "approve", "x"))
    ((recipients, path, octets),) = desk.sent()
    assert recipients == ["ann@example.com", "out@far.example"]
    assert (path, octets) == ("x@y.example", POST)
    assert desk.held.ids() == set()


@pytest.mark.parametrize(
    ("login", "return_path", "is_done"),
    [
        ("t:uid=mod", "", True), ("t:uid=own", "own@example.com", True), ("t:uid=ann", "mod@example.com", False),
        ("", "mod@example.com", False), ("t:uid=gone", "mod@example.com", False),
    ],
)  # fmt: skip
def test_who_decides_by_mail(desk: Desk, login: str, return_path: str, is_done: bool) -> None:
    asyncio.run(desk.handle("post", POST))
    asked = f"Subject: AW: Reject {token(desk.sent()[0][2], 'reject').upper()}\n\n".encode()
    asyncio.run(desk.handle("request", asked, login=login, return_path=return_path))
    assert bool(desk.held.ids()) is not is_done
    sent = desk.sent()
    if not is_done:
        assert sent == [(["team-owner@example.com"], return_path, asked)]
    else:
        assert [(one[0], one[1]) for one in sent] == ([([return_path], "")] if return_path else [])


def sign(text: bytes, folder: Path, desk: Desk, domain: str, *, leaves_out: bytes = b"") -> bytes:
    """`text` with a signature of `domain`, whose key is in the DNS; a field called `leaves_out` is not signed."""
    with pytest.MonkeyPatch.context() as patch:
        if leaves_out:
            patch.setattr(dkim, "SIGNED", tuple(name for name in dkim.SIGNED if name != leaves_out))
            patch.setattr(dkim, "OVERSIGNED", ())
        octets, name, record = signed(text, folder, domain)
    desk.dns[name] = record.encode()
    return octets


@pytest.mark.parametrize(
    ("author", "signer", "is_done"),
    [
        ("mod@example.com", "example.com", True), ("own@example.com", "example.com", True),
        ("m@far.example", "far.example", True), ("M <m@FAR.example>", "far.example", True),
        ("mod@example.com", "far.example", False), ("mod@example.com", "sub.example.com", False),
        ("mod@example.com", "", False), ("ann@example.com", "example.com", False),
        ("x@far.example", "far.example", False), ("mod@example.com, ann@example.com", "example.com", False),
    ],
)  # fmt: skip
def test_who_decides_by_a_signature(desk: Desk, tmp_path: Path, author: str, signer: str, is_done: bool) -> None:
    asyncio.run(desk.handle("post", POST))
    asked = f"From: {author}\nSubject: approve {token(desk.sent()[0][2], 'approve')}\n\nyes\n".encode()
    if signer:
        asked = sign(asked, tmp_path, desk, signer)
    asyncio.run(desk.handle("request", b"Received: x\n" + asked, return_path="victim@else.example"))
    assert bool(desk.held.ids()) is not is_done
    recipients = [one for message in desk.sent() for one in message[0]]
    if is_done:  # the one who is proven is told, not the return path
        own = re.sub(r".*<|>", "", author).lower()
        assert recipients.count(own) == 1 and "victim@else.example" not in recipients
    else:
        assert recipients == ["team-owner@example.com"]


def test_a_signature_that_does_not_cover_the_decision(desk: Desk, tmp_path: Path) -> None:
    asyncio.run(desk.handle("post", POST))
    subject = f"Subject: approve {token(desk.sent()[0][2], 'approve')}\n".encode()
    harmless = b"From: mod@example.com\nSubject: lunch?\n\nyes\n"
    loose = sign(harmless, tmp_path, desk, "example.com", leaves_out=b"subject")
    for text in (
        loose.replace(b"Subject: lunch?\n", subject),
        subject + loose,
        subject + sign(harmless, tmp_path, desk, "example.com", leaves_out=b"to"),
        sign(harmless, tmp_path, desk, "example.com").replace(b"Subject: lunch?\n", subject),
    ):
        asyncio.run(desk.handle("request", text))
        assert desk.held.ids(), text


def test_a_signature_whose_key_cannot_be_had_now(desk: Desk, tmp_path: Path) -> None:
    asyncio.run(desk.handle("post", POST))
    asked = f"From: m@far.example\nSubject: approve {token(desk.sent()[0][2], 'approve')}\n\n".encode()
    asked = sign(asked, tmp_path, desk, "far.example")
    record = desk.dns["k._domainkey.far.example"]
    desk.dns["k._domainkey.far.example"] = Deferred(Condition.DNS_UNAVAILABLE, "x")
    with pytest.raises(Deferred):
        asyncio.run(desk.handle("request", asked))
    assert desk.held.ids() and desk.sent() == []
    desk.dns["k._domainkey.far.example"] = record
    asyncio.run(desk.handle("request", asked))
    assert desk.held.ids() == set()


def test_no_question_about_mail_of_somebody_else(desk: Desk, tmp_path: Path) -> None:
    asked = sign(b"From: x@far.example\nSubject: approve " + b"a" * 26 + b"\n\n", tmp_path, desk, "far.example")
    asyncio.run(desk.handle("request", asked))
    assert desk.questions == []


def test_a_token_is_good_for_its_own_list_and_post_alone(desk: Desk) -> None:
    asyncio.run(desk.handle("post", POST, number="m1"))
    first = token(desk.sent()[0][2], "approve")
    asyncio.run(desk.handle("post", POST, number="m2"))
    (post,) = [p for p in desk.held.ids() if p.startswith("m1-")]
    other = entry("cn=other", "gatepostEntry gatepostList", cn="other", gatepostAddress="other@example.com",
                  member=f"uid=bob,{BASE}")  # fmt: skip
    desk.source.put(other)
    (found,) = desk.view.owners("other@example.com")
    with pytest.raises(NoSuchPost):
        asyncio.run(desk.desk.moderation.decide(found, post, "approve", "x"))  # type: ignore[arg-type]
    for bad in ("", "../queue", "m3"):
        with pytest.raises(NoSuchPost):
            asyncio.run(desk.desk.moderation.decide(desk.team, bad, "approve", "x"))
    asyncio.run(desk.handle("request", f"Subject: approve {first}\n\n".encode(), login="t:uid=mod"))
    assert [p[:2] for p in desk.held.ids()] == ["m2"]


def test_trouble_decides_nothing(desk: Desk) -> None:
    asyncio.run(desk.handle("post", POST))
    asked = f"Subject: approve {token(desk.sent()[0][2], 'approve')}\n\n".encode()
    desk.source.remove("t:uid=mod")
    desk.source.state = Freshness(True, 0.0)
    with pytest.raises(Deferred):
        asyncio.run(desk.handle("request", asked, login="t:uid=mod"))
    desk.source.state = Freshness(False, 0.0)
    (post,) = desk.held.ids()
    with pytest.raises(Deferred):
        asyncio.run(desk.desk.moderation.decide(desk.team, post, "approve", "x"))
    assert desk.held.ids() == {post}
    assert desk.sent() == []


def test_what_nobody_decides_on_expires(desk: Desk) -> None:
    asyncio.run(desk.handle("post", POST, number="old"))
    desk.now += 6 * 86400
    asyncio.run(desk.handle("post", POST, number="new"))
    desk.now += 2 * 86400
    asyncio.run(desk.desk.moderation.expire())
    assert [post[:3] for post in desk.held.ids()] == ["new"]


@pytest.mark.parametrize(
    ("moderation", "who", "login", "held"),
    [
        ("none", "x@y.example", False, False), ("all", "ann", False, True), ("all", "ann", True, True),
        ("all", "mod", True, False), ("all", "own", True, False), ("all", "mod", False, True),
        ("nonmembers", "ann", False, False), ("nonmembers", "out@far.example", False, False),
        ("nonmembers", "bob", True, True), ("nonmembers", "", False, True), ("NonMembers", "mod", True, False),
        ("somethingelse", "ann", True, True),
    ],
)  # fmt: skip
def test_whose_posts_wait(tmp_path: Path, moderation: str, who: str, login: bool, held: bool) -> None:
    desk = Desk(tmp_path, gatepostModeration=moderation)
    path = who if "@" in who or not who else f"{who}@example.com"
    account = desk.view.owners(path)[0] if login else None
    assert account is None or isinstance(account, Account)
    assert is_moderated(desk.view, desk.team, Sender(path, account, "+")) is held
    desk.close()
