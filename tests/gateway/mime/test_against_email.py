"""ENVELOPE, BODYSTRUCTURE and sections against Python's email package: hand-made, broken and generated mail."""

from __future__ import annotations

import email
import email.message
import email.policy
import email.utils
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mime import Section, What, scan, section_octets

_TOKEN = re.compile(rb'\(|\)|NIL|(\d+)|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n| ', re.DOTALL)


def parsed_list(text: bytes) -> Any:
    """An IMAP list as nested lists of bytes, int and None."""
    stack: list[list[Any]] = [[]]
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None, text[at : at + 40]
        at = match.end()
        token = match[0]
        if token == b"(":
            stack.append([])
        elif token == b")":
            done = stack.pop()
            stack[-1].append(done)
        elif token == b"NIL":
            stack[-1].append(None)
        elif match[1] is not None:
            stack[-1].append(int(match[1]))
        elif match[2] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", match[2]))
        elif match[3] is not None:
            stack[-1].append(text[at : at + int(match[3])])
            at += int(match[3])
    (whole,) = stack[0]
    return whole


def crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")


def raw_value(message: email.message.Message, name: str) -> bytes | None:
    """The first field of that name as it was written, unfolded."""
    for known, value in message.raw_items():
        if known.lower() == name:
            return re.sub(r"\r?\n", "", str(value)).strip().encode("utf-8", "surrogateescape")
    return None


def payload(message: email.message.Message) -> bytes:
    raw = message._payload  # type: ignore[attr-defined]  # get_payload() would undo charsets
    assert isinstance(raw, str)
    return raw.encode("ascii", "surrogateescape")


def check_structure(shown: Any, message: email.message.Message) -> None:
    """BODYSTRUCTURE of a part says what the email package found."""
    if message.get_content_maintype() == "multipart" and message.is_multipart():
        parts = [part for part in shown if isinstance(part, list)]
        count = len(message.get_payload())
        for part, inner in zip(shown[:count], message.get_payload(), strict=True):
            check_structure(part, inner)
        assert len(parts) >= count
        assert shown[count].lower() == message.get_content_subtype().encode()
        return
    assert (shown[0] + b"/" + shown[1]).lower() == message.get_content_type().encode()
    parameters = {shown[2][n].lower(): shown[2][n + 1] for n in range(0, len(shown[2]), 2)} if shown[2] else {}
    charset = message.get_param("charset")
    if charset is not None and isinstance(charset, str):
        assert parameters[b"charset"] == charset.encode()
    encoding = raw_value(message, "content-transfer-encoding")
    assert shown[5].lower() == (encoding or b"7bit").lower()
    if message.get_content_type() == "message/rfc822":
        (inner,) = message.get_payload()
        check_envelope(shown[7], inner)
        check_structure(shown[8], inner)
        return
    body = payload(message)
    assert shown[6] == len(crlf(body))
    if shown[0].lower() == b"text":
        assert shown[7] == body.count(b"\n")


def check_envelope(shown: Any, message: email.message.Message) -> None:
    assert shown[0] == raw_value(message, "date")
    assert shown[1] == raw_value(message, "subject")
    assert shown[8] == raw_value(message, "in-reply-to")
    assert shown[9] == raw_value(message, "message-id")
    for position, name in ((2, "from"), (5, "to"), (6, "cc"), (7, "bcc")):
        value = raw_value(message, name)
        told = [
            (address[0] or b"", b"%b@%b" % (address[2], address[3])) for address in shown[position] or () if address[3]
        ]
        expected = email.utils.getaddresses([value.decode()]) if value else []
        assert told == [(name.encode(), address.encode()) for name, address in expected if "@" in address], value


def check_sections(stored: bytes, message: email.message.Message, path: tuple[int, ...] = ()) -> None:
    """BODY[...] of each part is what the email package has as its text."""
    parsed = scan(stored)
    if message.is_multipart() and message.get_content_maintype() == "multipart":
        for number, part in enumerate(message.get_payload(), 1):
            check_sections(stored, part, (*path, number))
        return
    path = path or (1,)
    if message.get_content_type() == "message/rfc822":
        (inner,) = message.get_payload()
        for name in ("subject", "from"):
            fields = section_octets(stored, parsed, Section(path, What.FIELDS, frozenset({name.encode()})))
            value = raw_value(inner, name)
            assert fields is not None
            assert fields.strip().partition(b":")[2].strip() == (value or b"")
        inner_path = path if inner.get_content_maintype() == "multipart" else (*path, 1)
        check_sections(stored, inner, inner_path)
        return
    found = section_octets(stored, parsed, Section(path))
    assert found == crlf(payload(message))


def check(stored: bytes) -> None:
    message = email.message_from_bytes(stored)
    parsed = scan(stored)
    check_envelope(parsed_list(parsed.envelope), message)
    check_structure(parsed_list(parsed.bodystructure), message)
    check_sections(stored, message)


CORPUS = {
    "plain": b"From: a@b\nTo: Jane Doe <jane@x>, \"Roe, R.\" <r@y>\nSubject: hi\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\nhello\n",
    "no body": b"From: a@b\nSubject: nothing\n\n",
    "no header": b"\nonly a body\n",
    "folded": b"Subject: one\n two\n\tthree\nTo: a@b,\n c@d,\n  \"E F\"\n  <e@f>\nMessage-ID:\n <1@x>\n\nx\n",
    "latin": b"Content-Type: text/plain; charset=\"iso-8859-1\"\nContent-Transfer-Encoding: 8bit\n\n\xe4\xf6\xfc\n",
    "html": b"Content-Type: TEXT/HTML; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n<p>=C3=A4</p>\n",
    "mixed": b"Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\none\n\n--b\nContent-Type: image/png; name=x.png\n"
    b"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"x.png\"\n\niVBO\n--b--\nepi\n",
    "nested": b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=\"a-b\"\n\n"
    b"--a-b\n\nplain\n--a-b\nContent-Type: text/html\n\n<p>\n--a-b--\n\n--a\nContent-Type: message/rfc822\n\n"
    b"Subject: inner\nFrom: In <i@n>\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\ndeep\n--c--\n--a--\n",
    "forwarded": b"Content-Type: message/rfc822\n\nFrom: x@y\nSubject: inside\n\ntext inside\n",
    "digest": b"Content-Type: multipart/digest; boundary=d\n\n--d\n\nSubject: one\n\nfirst\n--d\n\nSubject: two\n\nsecond\n--d--\n",
    "boundary begins alike": b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--bb\ntext\n--b--\n",
    "boundary in quotes": b"Content-Type: multipart/mixed; boundary=\"a b:c\"\n\n--a b:c\n\none\n--a b:c--\n",
    "group": b"To: Friends: a@b, c@d;\nCc: undisclosed-recipients:;\n\nx\n",
    "comment": b"From: jane@x (Jane Doe)\n\nx\n",
    "mbox line inside": b"Subject: x\n\nFrom here on\n",
    "empty parts": b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b\nContent-Type: text/html\n\n\n--b--\n",
}  # fmt: skip


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(name: str) -> None:
    check(CORPUS[name])


WORDS = st.text("abcXYZ .-", min_size=1, max_size=12).map(str.strip).filter(bool)
ATOMS = st.text("abcxyz", min_size=1, max_size=6)
ADDRESSES = st.one_of(
    st.builds(lambda a, b: f"{a}@{b}", ATOMS, ATOMS),
    st.builds(lambda n, a, b: f'"{n}" <{a}@{b}.example>', WORDS, ATOMS, ATOMS),
    st.builds(lambda n, a, b: f"{n} <{a}.x@{b}>", ATOMS, ATOMS, ATOMS),
)
LINES = st.lists(st.sampled_from(["", "hello", "-- ", "--", "--b", "x--b0", "From x", ".", "\xe4\xf6"]), max_size=6)


@st.composite
def headers(draw: st.DrawFn) -> str:
    lines = [
        f"Subject: {draw(WORDS)}",
        "To: " + draw(st.sampled_from([", ", ",", ",\n "])).join(draw(st.lists(ADDRESSES, max_size=3))),
        f"From: {draw(ADDRESSES)}",
        f"Message-ID: <{draw(ATOMS)}@x>",
        "X-Long: " + draw(WORDS) + "\n\t" + draw(WORDS),
    ]
    return "\n".join(draw(st.permutations(lines))[: draw(st.integers(0, 5))])


@st.composite
def entities(draw: st.DrawFn, depth: int = 0) -> str:
    kind = draw(
        st.sampled_from(["text", "html", "data", "multi", "multi", "message"] if depth < 3 else ["text", "data"])
    )
    head = draw(headers()) if depth == 0 or draw(st.booleans()) else ""
    head = head + "\n" if head else ""
    if kind == "multi":
        boundary = f"b{depth}" + draw(st.sampled_from(["", "x", "--", "_=x"]))
        children = draw(st.lists(entities(depth + 1), min_size=1, max_size=3))
        parts = "".join(f"--{boundary}\n{child}\n" for child in children)
        return f'{head}Content-Type: multipart/mixed; boundary="{boundary}"\n\npreamble\n{parts}--{boundary}--\n'
    if kind == "message":
        inner = draw(headers()) or "Subject: inner"
        return f"{head}Content-Type: message/rfc822\n\n{inner}\n\n" + "\n".join(draw(LINES))
    name = {"text": "text/plain; charset=utf-8", "html": "text/html", "data": "application/x-y; name=z"}[kind]
    encoding = draw(st.sampled_from(["", "Content-Transfer-Encoding: 8bit\n"]))
    return f"{head}Content-Type: {name}\n{encoding}\n" + "\n".join(draw(LINES))


@settings(max_examples=200, deadline=None)
@given(entities())
def test_generated(text: str) -> None:
    check(text.encode())


BROKEN = [
    b"Subject: x", b"Subject: x\nno colon here\n\nbody\n", b"no colon\nSubject: x\n\nbody\n", b"Subject:\n\n", b": empty name\n\nx\n",
    b"Content-Type: text\n\nx\n", b"Content-Type: nonsense; charset=x\n\nx\n", b"Content-Type:\n\nx\n",
    b"Content-Type: multipart/mixed\n\nno boundary\n", b"Content-Type: text/plain; charset\n\nx\n", b"\n\n\n", b"",
    b"Subject: \xff\xfe\n\n\xff\n", b"Content-Type: multipart/mixed; boundary=b\n\nnothing of it\n",
]  # fmt: skip


@pytest.mark.parametrize("stored", BROKEN)
def test_broken_mail_has_the_same_header_and_body(stored: bytes) -> None:
    message = email.message_from_bytes(stored)
    shown = parsed_list(scan(stored).envelope)
    assert shown[1] == raw_value(message, "subject") or b"no colon" in stored
    whole = section_octets(stored, scan(stored), Section())
    assert whole == crlf(stored)
    head = section_octets(stored, scan(stored), Section(what=What.HEADER))
    text = section_octets(stored, scan(stored), Section(what=What.TEXT))
    assert head is not None
    assert text is not None
    assert head + text == whole
