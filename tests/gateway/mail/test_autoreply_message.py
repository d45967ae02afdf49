"""The automatic reply as other programs read it."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest

from gateway.mail.autoreply import MAX_REFERENCES, compose
from gateway.mail.header import scan

ASKED = b"Message-ID: <q1@far.example>\nReferences: <q0@far.example>\nSubject: =?utf-8?B?5L2g5aW9?= and\n more\n\nx\n"


def reply(asked: bytes = ASKED, **changed: Any) -> tuple[bytes, EmailMessage]:
    facts: dict[str, Any] = {
        "author": "ann@example.com", "name": "Ann Müller", "recipient": "bob@far.example", "subject": "",
        "text": "Back on Monday.", "message_id": "<a1@here.example>", "now": 1_000_000_000.0,
    }  # fmt: skip
    octets = compose(scan(asked), **(facts | changed))
    read = message_from_bytes(octets, policy=default)
    assert isinstance(read, EmailMessage)
    assert not read.defects and b"\r" not in octets
    return octets, read


def test_fields_and_text() -> None:
    octets, read = reply()
    assert octets.isascii()
    assert str(read["From"]) == "Ann Müller <ann@example.com>"
    assert str(read["To"]) == "bob@far.example"
    assert str(read["Subject"]) == "Auto: 你好 and more"
    assert str(read["In-Reply-To"]) == "<q1@far.example>"
    assert str(read["References"]) == "<q0@far.example> <q1@far.example>"
    assert str(read["Auto-Submitted"]) == "auto-replied (vacation)"
    assert str(read["Date"]) == "Sun, 09 Sep 2001 01:46:40 +0000"
    assert read.get_content() == "Back on Monday.\n"


def test_the_subject_of_the_entry_and_text_in_any_language() -> None:
    _, read = reply(subject="Nicht da\n", text="我下周一回来\n\n.\nAnn")
    assert str(read["Subject"]) == "Nicht da"
    assert read.get_content() == "我下周一回来\n\n.\nAnn\n"


@pytest.mark.parametrize("bad", ["x\nBcc: all@example.com", "x\r\n\r\nbody", "a\x00b", "\u2028Bcc: x", "x" * 5000])
def test_nothing_that_came_ends_a_field(bad: str) -> None:
    asked = b"Subject: =?utf-8?Q?" + b"".join(b"=%02X" % c for c in bad.encode()) + b"?=\n\n"
    for octets, read in (reply(asked), reply(subject=bad), reply(name=bad)):
        assert "Bcc" not in read
        assert read.get_content() == "Back on Monday.\n"
        assert max(map(len, octets.splitlines())) < 998


def test_references_are_bounded_and_a_bad_message_id_is_left_out() -> None:
    many = b" ".join(b"<%d@far.example>" % n for n in range(1000))
    _, read = reply(b"Message-ID: <q@far.example>\nReferences: " + many + b"\n\n")
    assert str(read["References"]).endswith("<999@far.example> <q@far.example>")
    assert len(str(read["References"])) <= MAX_REFERENCES
    _, read = reply(b"Message-ID: <two words@far.example>\n\n")
    assert "In-Reply-To" not in read and "References" not in read
    _, read = reply(b"\n")
    assert str(read["Subject"]) == "Auto:"


def test_internationalised_addresses_stay_as_they_are() -> None:
    octets, read = reply(author="王伟@xn--fsqu00a.example", recipient="jörg@far.example")
    assert "王伟@xn--fsqu00a.example".encode() in octets
    assert "To: jörg@far.example\n".encode() in octets
    assert str(read["To"]) == "jörg@far.example"


def test_an_address_that_cannot_stand_in_a_header_is_an_error() -> None:
    with pytest.raises(ValueError, match=r".+"):
        reply(recipient="a\nb@far.example")
