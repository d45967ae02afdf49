"""Messages on the wire: dots, chunks, long lines and 8-bit text, however the message is cut into pieces."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.model import Condition, Refused
from gateway.deliver.content import Nature, chunked, converted, dotted, nature

BODY = b"Subject: x\n\n.dot\nbody\n..two\n"


def wire(pieces: list[bytes]) -> bytes:
    return b"".join(dotted(iter(pieces)))


@pytest.mark.parametrize("pieces", [[BODY], [BODY[n : n + 1] for n in range(len(BODY))], [BODY[:12], BODY[12:]]])
def test_dots_however_the_message_is_split(pieces: list[bytes]) -> None:
    assert wire(pieces) == b"Subject: x\r\n\r\n..dot\r\nbody\r\n...two\r\n.\r\n"


def test_a_message_without_last_line_end_gets_one() -> None:
    assert wire([b"a"]) == b"a\r\n.\r\n"
    assert list(chunked(iter([b"a"]))) == [(b"BDAT 3 LAST\r\na\r\n", True)]
    assert list(chunked(iter([]))) == [(b"BDAT 0 LAST\r\n", True)]


@given(st.lists(st.binary().map(lambda data: data.replace(b"\0", b"\n"))))
def test_nothing_ends_a_message_but_its_end(pieces: list[bytes]) -> None:
    sent = wire(pieces)
    assert sent.endswith(b".\r\n") and sent.count(b"\r\n.\r\n") <= 1
    assert sent.replace(b"\r\n", b"").count(b"\r") == sent.replace(b"\r\n", b"").count(b"\n") == 0


@given(st.lists(st.binary(max_size=3000).map(lambda data: data.replace(b"x", b"\n")), max_size=5))
def test_the_nature_of_a_message_does_not_depend_on_pieces(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    header = b"" if whole.startswith(b"\n") else whole.partition(b"\n\n")[0]
    expected = Nature(whole.isascii(), header.isascii(), any(len(line) > 998 for line in whole.split(b"\n")))
    assert nature(iter([whole])) == expected
    assert nature(iter(pieces)) == expected


def test_long_lines_across_pieces() -> None:
    assert nature(iter([b"a" * 600, b"b" * 398 + b"\n"])).has_long_lines is False
    assert nature(iter([b"a" * 600, b"b" * 399 + b"\n"])).has_long_lines is True
    assert nature(iter([b"\n" + b"a" * 998 + b"\n" + b"b" * 998 + b"\n"])).has_long_lines is False


def parsed(raw: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)  # type: ignore[return-value]


def test_text_becomes_quoted_printable() -> None:
    text = "Grüße ohne Ende\n= " + "lang " * 300 + "\n. dot\n"
    raw = b"Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    result = converted(iter([raw + text.encode()]))
    assert nature(iter([result])) == Nature(True, True, False)
    message = parsed(result)
    assert message["Content-Transfer-Encoding"] == "quoted-printable" and message.get_content() == text


def test_text_without_any_mime_fields() -> None:
    result = converted(iter(["Subject: x\n\nGrüße\n".encode("latin-1")]))
    message = email.message_from_bytes(result)
    assert message.get_payload(decode=True) == "Grüße\n".encode("latin-1")
    assert message["MIME-Version"] == "1.0"


def test_parts_are_encoded_each_for_itself() -> None:
    raw = (
        b"Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\npreface\n"
        b"--b\nContent-Type: text/plain\n\nplain stays as it is\n"
        b"--b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n<p>\xc3\xbc</p>\n"
        b"--b\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: 8bit\n\n\xff\xfe\n"
        b"--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: inner\n\n\xfc\n--b--\n"
    )
    result = converted(iter([raw]))
    assert nature(iter([result])).is_ascii
    message = email.message_from_bytes(result)
    _, html, octets, inner = message.get_payload()
    assert message["Content-Transfer-Encoding"] == "7bit" and b"plain stays as it is\n" in result
    assert html.get_payload(decode=True) == b"<p>\xc3\xbc</p>"
    assert octets.get_payload(decode=True) == b"\xff\xfe"
    assert inner.get_payload()[0].get_payload(decode=True) == b"\xfc"


@pytest.mark.parametrize(
    "raw",
    [
        "Subject: grüße\n\nhello\n".encode(),
        b'Content-Type: multipart/signed; boundary=b; protocol="application/pgp-signature"\n\n--b\n\n\xff\n--b--\n',
        b"Content-Transfer-Encoding: base64\n\n\xff\xff\n",
        b"Subject: " + b"x" * 1200 + b"\n\nhello\n",
    ],
)
def test_what_cannot_be_encoded_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused) as error:
        converted(iter([raw]))
    assert error.value.condition is Condition.CONVERSION_IMPOSSIBLE
