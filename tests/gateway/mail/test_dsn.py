"""Reports on delivery, read back by the standard library's parser."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.model import Condition
from gateway.mail import dsn
from gateway.mail.dsn import Fate, Report, compose, header_of, status_of
from gateway.mail.dsn_sentences import UNKNOWN, sentence
from gateway.mail.xtext import BadValue, decode, encode, original_recipient, seven_bit

HEADER = b"Message-ID: <1@example.com>\nSubject: =?utf-8?B?6K6h5YiS?=\nDate: Tue, 24 Nov 2026 12:00:00 +0000\n"
FAILED = Fate(
    "jane@far.example",
    "failed",
    "5.1.1",
    Condition.REMOTE_REFUSED,
    original="rfc822;Jane+2BDoe@far.example",
    host="mx.far.example",
    reply="550 5.1.1 <jane@far.example>: who is that?",
)


def report(*fates: Fate, **more: object) -> Report:
    values: dict[str, object] = {
        "id": "1.M2P3_0_4.r", "message": "1.M1P1_0_1.x", "host": "mx.example.com",
        "author": "mailer-daemon@example.com", "recipient": "bob@example.com", "arrival": 1_795_000_000.0,
        "now": 1_795_000_100.0, "fates": fates, "envelope_id": "QQ+2B1",
    }  # fmt: skip
    return Report(**{**values, **more})  # type: ignore[arg-type]


def read(octets: bytes) -> tuple[EmailMessage, str, list[Message], EmailMessage]:
    """(message, text for people, status blocks, third part)"""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    assert message.get_content_type() == "multipart/report"
    text, status, third = message.get_payload()  # type: ignore[misc]
    assert not text.defects
    return message, text.get_content(), status.get_payload(), third


def test_a_failure_is_told_to_people_and_programs() -> None:
    message, text, blocks, third = read(compose(report(FAILED), HEADER, HEADER + b"\nHello.\n"))
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["To"] == "bob@example.com"
    assert "邮件未送达" in message["Subject"]
    assert message["In-Reply-To"] == "<1@example.com>"
    assert message.get_param("report-type") == "delivery-status"
    for words in (
        "NOT delivered to:\n\n  <jane@far.example>\n    There is no such address.",
        "mx.far.example answered:\n      550 5.1.1 <jane@far.example>: who is that?",
        "What you can do: Check the address",
        "Subject: 计划",
        "该地址不存在",
    ):
        assert words in text
    head, one = blocks
    assert head["Reporting-MTA"] == "dns; mx.example.com"
    assert head["Original-Envelope-Id"] == "QQ+1"
    assert head["Arrival-Date"] == "Wed, 18 Nov 2026 11:06:40 +0000"
    assert one["Original-Recipient"] == "rfc822; Jane+Doe@far.example"
    assert one["Final-Recipient"] == "rfc822; jane@far.example"
    assert (one["Action"], one["Status"], one["Remote-MTA"]) == ("failed", "5.1.1", "dns; mx.far.example")
    assert one["Diagnostic-Code"] == "smtp; 550 5.1.1 <jane@far.example>: who is that?"
    assert one["Last-Attempt-Date"] == "Wed, 18 Nov 2026 11:08:20 +0000"
    assert third.get_content_type() == "message/rfc822"
    assert third.get_payload(0).get_payload() == "Hello.\n"  # type: ignore[union-attr]


def test_all_recipients_of_an_attempt_are_in_one_report() -> None:
    fates = (
        Fate("late@far.example", "delayed", "4.4.1", Condition.REMOTE_DEFERRED, retry_until=1_795_400_000.0),
        FAILED,
        Fate("box@example.com", "delivered", "2.0.0"),
        Fate("sales@example.com", "expanded", "2.0.0"),
        Fate("x@old.example", "relayed", "2.0.0", host="mx.old.example"),
    )
    message, text, blocks, third = read(compose(report(*fates), HEADER, None))
    assert [block["Action"] for block in blocks[1:]] == ["delayed", "failed", "delivered", "expanded", "relayed"]
    assert blocks[1]["Will-Retry-Until"] == "Mon, 23 Nov 2026 02:13:20 +0000"
    assert "not delivered" in message["Subject"]
    assert "The other host did not answer." in text
    assert "It is tried until Mon, 23 Nov 2026" in text
    assert third.get_content_type() == "text/rfc822-headers"
    assert third.get_content().encode() == HEADER


def test_what_expired_says_why() -> None:
    fate = Fate("a@b.example", "failed", "5.4.7", Condition.REMOTE_DEFERRED, reply="452 4.2.2 full", expired=True)
    text = read(compose(report(fate), HEADER, None))[1]
    assert "mailbox is full" in text
    assert "it is given up" in text


def test_internationalised_addresses() -> None:
    fate = Fate("用户@例子.example", "failed", "5.1.1", original="utf-8;\\x{7528}\\x{6237}@example.com")
    octets = compose(report(fate, utf8=True, recipient="鲍@example.com"), "Subject: 问\n".encode(), None)
    assert b"Final-Recipient: utf-8; " + fate.address.encode() in octets
    assert b"Original-Recipient: utf-8; \xe7\x94\xa8" in octets
    assert b"Content-Type: message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n" in octets
    assert b"Content-Type: message/global-headers\n" in octets
    narrow = compose(report(fate), HEADER, None)
    assert narrow.isascii()  # what goes to a sender who never spoke SMTPUTF8
    assert b"Final-Recipient: utf-8; \\x{7528}\\x{6237}@" in narrow


NASTY = "x\r\n\r\n--=_1.M2P3_0_4.r\nBcc: all@example.com\r\n\u2028\x85\x00\ud800" + "y" * 3000


@pytest.mark.parametrize("field", ["host", "reply", "address", "given", "original"])
def test_nothing_from_outside_begins_a_line(field: str) -> None:
    plain = {"address": "a@b.example", "action": "failed", "status": "5.0.0"}
    for utf8 in (False, True):
        octets = compose(report(Fate(**{**plain, field: NASTY}), utf8=utf8), HEADER, None)  # type: ignore[arg-type]
        message = email.message_from_bytes(octets)
        assert len(message.get_payload()) == 3
        assert "Bcc" not in message
        assert not any(line.startswith((b"Bcc", b"--=_1.M2P3_0_4.r\nBcc")) for line in octets.splitlines())
        assert max(map(len, octets.split(b"\n"))) <= 998


def test_a_message_that_knows_the_boundary_stays_inside() -> None:
    whole = HEADER + b"\n--=_1.M2P3_0_4.r\nContent-Type: text/plain\n\nforged\n"
    third = read(compose(report(FAILED), HEADER, whole))[3]
    assert "forged" in third.get_payload(0).get_payload()  # type: ignore[union-attr]


@given(st.text(), st.text(), st.binary(max_size=200))
def test_any_text_makes_a_report_of_three_parts(address: str, reply: str, whole: bytes) -> None:
    octets = compose(report(Fate(address, "failed", "5.0.0", reply=reply)), b"", whole)
    message = email.message_from_bytes(octets)
    assert [part.get_content_type() for part in message.get_payload()] == [  # type: ignore[union-attr]
        "text/plain", "message/delivery-status", "message/rfc822",
    ]  # fmt: skip


def test_header_is_cut_at_a_line() -> None:
    assert header_of(HEADER + b"\nbody", 1000) == HEADER
    assert header_of(HEADER + b"\nbody", 40) == b"Message-ID: <1@example.com>\n"
    assert header_of(b"\nbody\n", 100) == b""
    assert header_of(b"A: 1\nB: cut he", 100) == b"A: 1\n"


def test_status_is_of_the_class_of_the_action() -> None:
    assert status_of("failed", "4.2.2", Condition.REMOTE_DEFERRED) == "5.2.2"
    assert status_of("failed", "nonsense", Condition.MAILBOX_FULL) == "5.2.2"
    assert status_of("delayed", "", Condition.DNS_UNAVAILABLE) == "4.4.3"
    assert status_of("delivered", "", None) == "2.0.0"


def test_every_condition_has_a_sentence_of_its_own() -> None:
    without = {c.name for c in Condition if sentence(c, c.enhanced) is UNKNOWN}
    # where only the other host knows why
    assert without == {"REMOTE_REFUSED"}
    assert all(ascii_text.isascii() for c in Condition for ascii_text in sentence(c, c.enhanced)[:2])
    assert sentence(None, "5.7.23").reason.startswith("The other host could not verify")


def test_xtext() -> None:
    assert decode(encode("a+b=c d")) == "a+b=c d"
    for bad in ("a+2", "a=b", "a b", "+0A", "+2b", "é"):
        with pytest.raises(BadValue):
            decode(bad)


def test_original_recipient() -> None:
    assert original_recipient("rfc822;a+2Bb@c.example") == ("rfc822", "a+b@c.example")
    assert original_recipient("utf-8;\\x{7528}@c.example") == ("utf-8", "用@c.example")
    assert original_recipient("utf-8;" + seven_bit("用 户+@c")) == ("utf-8", "用 户+@c")
    for bad in (
        "a@b.example",
        "rfc822;",
        ";a@b",
        "rfc822;a+0D+0Ab",
        "utf-8;\\x{0A}a",
        "utf-8;a+b",
        "utf-8;\\x{D800}",
        "r c;a",
    ):
        with pytest.raises(BadValue):
            original_recipient(bad)


def test_the_cap_of_a_quoted_reply() -> None:
    octets = compose(report(Fate("a@b.example", "failed", "5.0.0", reply="550 " + "w" * 5000)), HEADER, None)
    assert b"w" * dsn.MAX_REPLY not in octets
