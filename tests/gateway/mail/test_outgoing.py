"""What a program that calls sendmail leaves to us."""

from __future__ import annotations

import pytest

from gateway.mail.header import scan
from gateway.mail.outgoing import normalized, recipients, with_header, without_hidden


@pytest.mark.parametrize(
    ("given", "dot_ends", "wanted"),
    [
        (b"A: b\r\n\r\nx\r\n", True, b"A: b\n\nx\n"),
        (b"A: b\n\nx", True, b"A: b\n\nx\n"),
        (b"A: b\n\nx\n.\ny\n", True, b"A: b\n\nx\n"),
        (b"A: b\n\nx\n.\ny\n", False, b"A: b\n\nx\n.\ny\n"),
        (b"A: b\n\nx\n.", True, b"A: b\n\nx\n"),
        (b".\nx\n", True, b""),
        (b"From jane Mon Jan  1 00:00:00 2024\nA: b\n\nx\n", True, b"A: b\n\nx\n"),
    ],
)
def test_where_a_message_ends(given: bytes, dot_ends: bool, wanted: bytes) -> None:
    assert normalized(given, dot_ends=dot_ends) == wanted


def test_recipients_of_the_header() -> None:
    head = b'To: root, "Lee, Ann" <ann@a.example>\nCc: g: x@b.example, y@b.example;\nBCC: z@c.example, root\n\nb\n'
    assert recipients(scan(head)) == ["root", "ann@a.example", "x@b.example", "y@b.example", "z@c.example"]
    assert recipients(scan(b"To: undisclosed-recipients:;\n\n")) == []


def test_resent_fields_stand_for_the_others() -> None:
    assert recipients(scan(b"To: a@a.example\nResent-To: b@b.example\n\n")) == ["b@b.example"]


def test_nobody_sees_bcc() -> None:
    assert without_hidden(b"To: a\nBcc: b,\n c\nX: y\n\nBcc: body\n") == b"To: a\nX: y\n\nBcc: body\n"


@pytest.mark.parametrize("text", [b"just text\n", b"\ntext\n"])
def test_a_text_without_header(text: bytes) -> None:
    assert scan(with_header(text)).fields == ()
    assert with_header(text).endswith(b"\n" + text.lstrip(b"\n"))
