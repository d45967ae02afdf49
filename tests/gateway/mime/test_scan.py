"""The scanner: hand-made expectations, agreement with the standard library, sense on broken mail."""

from __future__ import annotations

import email
import email.message
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.imap.fetch_items import Body, parse_items
from gateway.imap.parser import Parser
from gateway.mime import Parsed, Part, decode_header_text, decoded_text, envelope, scan, section_octets
from gateway.mime.address import addresses
from gateway.mime.envelope_fields import CC, DATE, FROM, MESSAGE_ID, SUBJECT, TO, EnvelopeFields
from gateway.mime.fields import Fields
from gateway.mime.limits import MAX_ADDRESSES, MAX_PARTS
from gateway.mime.parameters import content_type, parameter_text
from gateway.mime.parsed import LEAF, MULTIPART

NESTED = b"""From: a@b
Subject: outer
Content-Type: multipart/mixed; boundary=x

preamble
--x
Content-Type: text/plain; charset=utf-8

one
two
--x
Content-Type: message/rfc822

Subject: inner
From: "In, Ner" <in@ner>
Content-Type: multipart/alternative; boundary="x-y"

--x-y

plain
--x-y
Content-Type: text/html

<p>
--x-y--
--x--
epilogue
"""

ADDRESSES = [
    (b"a@b", b'((NIL NIL "a" "b"))'),
    (b"<a@b>", b'((NIL NIL "a" "b"))'),
    (b"Jane Doe <a@b>, c.d@e", b'(("Jane Doe" NIL "a" "b")(NIL NIL "c.d" "e"))'),
    (b'"Doe, J. \\"x\\"" <a@b>', b'(("Doe, J. \\"x\\"" NIL "a" "b"))'),
    (b"a@b (Jane (x) Doe)", b'(("Jane (x) Doe" NIL "a" "b"))'),
    (b"Team: a@b, c@d;", b'((NIL NIL "Team" NIL)(NIL NIL "a" "b")(NIL NIL "c" "d")(NIL NIL NIL NIL))'),
    (b"undisclosed-recipients:;", b'((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))'),
    (b"<@r1,@r2:a@b>", b'((NIL "@r1,@r2" "a" "b"))'),
    (b"J\xc3\xbcrgen <a@b>", b'(({7}\r\nJ\xc3\xbcrgen NIL "a" "b"))'),
    (b"nobody", b'((NIL NIL "nobody" ""))'),
    (b'"a b"@c', b'((NIL NIL "a b" "c"))'),
    (b"a@[192.0.2.1]", b'((NIL NIL "a" "[192.0.2.1]"))'),
    (b'"open <a@b>', b'((NIL NIL "open <a@b>" ""))'),
    (b"<>", b'((NIL NIL "" ""))'),
    (b"", b"NIL"),
    (b",,,", b"NIL"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ADDRESSES)
def test_addresses(text: bytes, expected: bytes) -> None:
    assert addresses(text) == expected


@pytest.mark.parametrize(
    "header, shown",
    [
        (b"To: a@x\nSubject: s\nTo: b@x\n", b'((NIL NIL "a" "x")(NIL NIL "b" "x"))'),
        (b"Cc: a@x\nCC: b@x\n", b'(NIL NIL "a" "x")(NIL NIL "b" "x")'),
        (b"Bcc:\nBcc: b@x\n", b'((NIL NIL "b" "x"))'),
        (b"From: a@x <b@y>\n", b'(("a@x" NIL "b" "y"))'),
        (b"From: (c) <b@y>\n", b'((NIL NIL "b" "y"))'),
    ],
)
def test_addresses_of_an_envelope(header: bytes, shown: bytes) -> None:
    assert shown in envelope(header + b"\n")


def test_a_part_that_is_all_header_has_its_type() -> None:
    stored = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n--b\nContent-Type: message/rfc822\n\n--b--\n"
    html, inner = scan(stored).root.children
    assert (html.type, html.subtype, html.body, html.end) == (b"text", b"html", html.end, html.end)
    assert (inner.kind, inner.type) == (LEAF, b"text")


def test_structure_of_a_nested_message() -> None:
    parsed = scan(NESTED)
    assert parsed.bodystructure == (
        b'(("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 8 1 NIL NIL NIL NIL)'
        b'("message" "rfc822" NIL NIL NIL "7bit" @OCTETS '
        b'(NIL "inner" (("In, Ner" NIL "in" "ner")) (("In, Ner" NIL "in" "ner")) (("In, Ner" NIL "in" "ner")) '
        b"NIL NIL NIL NIL NIL) "
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL)'
        b'("text" "html" NIL NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "alternative" ("boundary" "x-y") NIL NIL NIL) '
        b'@LINES NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL)'
    ).replace(b"@OCTETS", b"%d" % _inner_size()[0]).replace(b"@LINES", b"%d" % _inner_size()[1])
    assert Parsed.decode(parsed.encode()) == parsed
    assert Parsed.decode(b"\x00" + parsed.encode()) is None


def _inner_size() -> tuple[int, int]:
    inner = NESTED[NESTED.index(b"Subject: inner") : NESTED.index(b"\n--x--\n")]
    return len(inner) + inner.count(b"\n"), inner.count(b"\n")


def section(stored: bytes, parsed: Parsed, spec: bytes) -> bytes | None:
    (item,) = parse_items(Parser((b"BODY[%b]" % spec,)))
    assert isinstance(item, Body)
    return section_octets(stored, parsed, item.section)


def whole_text(stored: bytes, parsed: Parsed, *, headers: bool = False) -> list[str]:
    return list(decoded_text(lambda start, end: stored[start:end], parsed, headers=headers))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (b"1", b"one\r\ntwo"),
        (b"1.MIME", b"Content-Type: text/plain; charset=utf-8\r\n\r\n"),
        (b"2.1", b"plain"),
        (b"2.2", b"<p>"),
        (b"2.HEADER.FIELDS (subject)", b"Subject: inner\r\n\r\n"),
        (b"2.2.MIME", b"Content-Type: text/html\r\n\r\n"),
        (b"header.fields.not (FROM Content-Type)", b"Subject: outer\r\n\r\n"),
        (b"HEADER.FIELDS (X)", b"\r\n"),
        (b"HEADER", b"From: a@b\r\nSubject: outer\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"),
        (b"3", None),
        (b"1.1", None),
        (b"1.HEADER", None),
        (b"", NESTED.replace(b"\n", b"\r\n")),
    ],
)
def test_sections(spec: bytes, expected: bytes | None) -> None:
    assert section(NESTED, scan(NESTED), spec) == expected


def test_section_of_a_plain_message() -> None:
    stored = b"A: b\n\nx\n"
    parsed = scan(stored)
    assert section(stored, parsed, b"1") == section(stored, parsed, b"TEXT") == b"x\r\n"
    assert section(stored, parsed, b"2") is None


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= x", "Grüße x"),
        (b"=?utf-8?b?5L2g?= =?utf-8?b?5aW9?=", "你好"),
        (b"=?utf-8?b?5L0=?= =?utf-8?b?oA==?=", "你"),
        (b"=?gb2312?B?xOO6ww==?=", "你好"),
        (b"=?nonsense?q?abc?=", "abc"),
        (b"=?utf-8*en?q?a_b?=", "a b"),
        (b"a =?utf-8?q?b", "a =?utf-8?q?b"),
        ("Grüße".encode(), "Grüße"),
    ],
)
def test_header_text(raw: bytes, text: str) -> None:
    assert decode_header_text(raw) == text


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"a/b; name=x.txt", "x.txt"),
        (b'a/b; name="x y.txt"; z=1', "x y.txt"),
        (b"a/b; name*=utf-8'en'%C3%BC.txt", "ü.txt"),
        (b"a/b; name*0=ab; name*1=cd", "abcd"),
        (b"a/b; name*1=cd; name*0*=utf-8''%C3%BC", "ücd"),
        (b'a/b (comment); name="=?utf-8?q?=C3=BC?="', "ü"),
    ],
)
def test_parameters(raw: bytes, name: str) -> None:
    found = content_type(raw)
    assert found is not None
    assert parameter_text(found[2], b"name") == name


@pytest.mark.parametrize(
    ("header", "field", "text"),
    [
        (b'From: "Doe, \\"J\\"" <j@x>, k@y', FROM, b'Doe, "J" <j@x>, k@y'),
        (b"To: Team: a@b, c@d;, e@f", TO, b"Team, a@b, c@d, , e@f"),
        (b"To: J\xc3\xbcrgen <j@x>", TO, b"J\xc3\xbcrgen <j@x>"),
        (b"Cc: undisclosed-recipients:;", CC, b"undisclosed-recipients, "),
        (b'Subject: a "quoted" \\ word', SUBJECT, b'a "quoted" \\ word'),
        (b'Subject: (NIL "x', SUBJECT, b'(NIL "x'),
        (b"X: y", SUBJECT, b""),
    ],
)
def test_an_envelope_taken_apart(header: bytes, field: int, text: bytes) -> None:
    for other in (b"", b"Bcc: \xff<a@b>\nMessage-ID: <\xff>\n"):
        assert EnvelopeFields(envelope(header + b"\n" + other + b"\n")).get(field) == text


def test_text_for_search() -> None:
    stored = b"Subject: =?utf-8?q?=C3=BC?=\nContent-Type: text/plain; charset=gb2312\nContent-Transfer-Encoding: base64\n\nxOO6ww==\n"
    assert whole_text(stored, scan(stored))[0] == "你好"
    assert "ü" in whole_text(stored, scan(stored), headers=True)[0]


def nested(count: int) -> bytes:
    return b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(count)) + b"\nx"


HEAD = b"Content-Type: multipart/mixed; boundary=x\n\n"
MALFORMED = [
    b"", b"\n", b"\n\n", b"\r\n", b"\0", b"\0" * 1000, b"no header", b"x\n\ny", b":", b": \n\n", b"From", b"\r\r\r\n\n",
    b"From: a\rb@c\n\nx", b"From: \xff\xfe\n\n\xff", b"Subject: \0\n\n", b"Subject:\n \n\t\n\nx", b"Subject: x", b"a: b\r\n\r\nx\r\n",
    HEAD, HEAD[:-1], HEAD + b"--x", HEAD + b"--x\n", HEAD + b"--x--", HEAD + b"--x--\n--x\n\na", HEAD + b"--x\n--x\n--x\n",
    HEAD + b"--x\na: b", HEAD + b"--x\n\n--x\n\n", HEAD + b"--xx\n\na\n--x \t\n\nb\n--x--", HEAD + b"--x junk\n\na",
    HEAD + b"--x\n" + HEAD + b"--x\n\na\n--x--\n--x--\n", HEAD + b"--x\r\n\r\na\r\n--x--\r\n", HEAD + b"--\n\n----\n",
    HEAD + b"--x\n\na\n" * 3000, b"Content-Type: multipart/mixed\n\n--\n\na", b'Content-Type: multipart/mixed; boundary=""\n\n--\n',
    b"Content-Type: multipart/mixed; boundary=" + b"y" * 5000 + b"\n\n--" + b"y" * 5000 + b"\n",
    b'Content-Type: multipart/mixed; boundary="x\n\n--x\n\na', b"Content-Type: multipart/\n\n", b"Content-Type: /\n\n",
    b"Content-Type: text\n\n", b"Content-Type: text/plain; charset\n\n", b"Content-Type: text/plain; =x;;;\n\n",
    b'Content-Type: te"xt/pl\\ain\n\n', b"Content-Type: t\xc3\xbc/x\n\n", b"Content-Type: message/rfc822\n\n",
    b"Content-Type: message/rfc822\n\n" * 200, b"Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: a\n\nb\n--x--",
    b"Content-Type: text/plain; charset=punycode\n\n\xff\xfe", b"Content-Type: text/plain; charset=utf-16\n\nabc",
    b"Content-Transfer-Encoding: base64\n\n!!!!A", b"Content-Transfer-Encoding: (c) quoted-printable; x\n\n=ZZ=",
    b"Content-Disposition: ;;;filename\n\n", b'Content-Disposition: attachment; filename="a\\\n\n',
    b"Content-Language: ,,\n\n", b"Content-Language: de, en\n\n", b"To: " + b"(" * 5000 + b"\n\n", b"To: " + b'"\\' * 5000 + b"\n\n",
    b"To: " + b"<" * 5000 + b"\n\n", b"To: a:b:c:;;;d@e\n\n", b"To: [[[@@@,,<<>>\n\n", b"From : spaced@x\n\n", b"X\nX\nX\nFrom: a@b\n\n",
    b"From a@b Mon\nSubject: mbox\n\nx", b"a: b\n" * 5000, b"Subject: " + b"x" * 300_000 + b"\n\n", b"Subject: a\n b\n" * 2,
    b"Content-Type: a/b" + b"; p=q" * 1000 + b"\n\n", b"Content-Type: a/b; " + b"; ".join(b"n*%d=x" % n for n in range(900)) + b"\n\n",
    b"To: " + b"a@b," * 500_000 + b"\n\n", b"Subject: " + b"=?" * 20000 + b"\n\n", nested(10_000), b"\n--x" * 50_000,
]  # fmt: skip


def balanced(answer: bytes) -> bool:
    """True when `answer` is one IMAP list with whole strings and literals."""
    at = depth = 0
    while at < len(answer):
        octet = answer[at : at + 1]
        if octet == b'"':
            at += 1
            while answer[at : at + 1] != b'"':
                assert answer[at] < 0x80
                assert answer[at : at + 1] not in (b"\r", b"\n", b"\0", b"")
                at += 2 if answer[at : at + 1] == b"\\" else 1
        elif octet == b"{":
            end = answer.index(b"}\r\n", at)
            at = end + 2 + int(answer[at + 1 : end])
        elif octet == b"(":
            depth += 1
        elif octet == b")":
            depth -= 1
            if depth == 0 and at != len(answer) - 1:
                return False
        at += 1
    return depth == 0


def parts_of(part: Part) -> list[Part]:
    return [part, *(below for child in part.children for below in parts_of(child))]


def check_sense(stored: bytes) -> Parsed:
    parsed = scan(stored)
    for answer in (parsed.envelope, parsed.bodystructure, parsed.body):
        assert balanced(answer)
    fields, envelope_values = Fields(stored, 0, parsed.root.body), EnvelopeFields(parsed.envelope)
    for name, field in ((b"\nsubject:", SUBJECT), (b"\ndate:", DATE), (b"\nmessage-id:", MESSAGE_ID)):
        assert envelope_values.get(field) == (fields.get(name) or b"").replace(b"\0", b"?")
    for part in parts_of(parsed.root):
        assert 0 <= part.start <= part.body <= part.end <= len(stored)
    assert scan(stored) == parsed
    assert envelope(stored) == parsed.envelope
    assert Parsed.decode(parsed.encode()) == parsed
    assert all(isinstance(text, str) for text in whole_text(stored, parsed, headers=True))
    for spec in (b"", b"HEADER", b"TEXT", b"1", b"1.1", b"1.MIME", b"HEADER.FIELDS (TO)"):
        section(stored, parsed, spec)
    return parsed


@pytest.mark.parametrize("number", range(len(MALFORMED)))
def test_broken_mail_is_answered_sensibly(number: int) -> None:
    check_sense(MALFORMED[number])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([
    b"\n", b"--x", b"--x--", b"--y", b"--xy", b"\r", b"\0", b"a", b" ", b":", b'"', b"(", b"<", b"@", b",", b"\xff",
    b"From: ", b"Content-Type: multipart/mixed; boundary=x", b"Content-Type: multipart/mixed; boundary=xy\n\n",
    b"Content-Type: message/rfc822\n\n",
]), max_size=60))  # fmt: skip
def test_any_octets(pieces: list[bytes]) -> None:
    check_sense(b"".join(pieces))


def test_limits() -> None:
    many = b"To: " + b"a@b," * 500_000 + b"\n\n"
    assert scan(many).envelope.count(b'"a"') <= MAX_ADDRESSES
    for part in (b"--x\n\na\n", b"--x\n", b"--x\nA: b\n"):
        assert len(parts_of(scan(HEAD + part * 3000).root)) <= MAX_PARTS + 2


@st.composite
def messages(draw: st.DrawFn, depth: int = 0) -> bytes:
    """A well-formed entity, stored form."""
    kind = draw(st.sampled_from(["text", "html", "data", "multi", "multi"] if depth < 3 else ["text", "data"]))
    head = b"Subject: s%d\n" % depth
    if kind == "multi":
        boundary = b"b%d" % depth + draw(st.sampled_from([b"", b"x", b"--"]))
        children = draw(st.lists(messages(depth + 1), min_size=1, max_size=3))
        return (
            head + b'Content-Type: multipart/mixed; boundary="%b"\n\npreamble\n' % boundary
            + b"".join(b"--%b\n%b\n" % (boundary, child) for child in children) + b"--%b--\n" % boundary
        )  # fmt: skip
    lines = draw(st.lists(st.sampled_from([b"", b"hello", b"-- ", b"--", b"--b", b"x--b0"]), max_size=5))
    name = {"text": b"text/plain", "html": b"text/html", "data": b"application/x"}[kind]
    return head + b"Content-Type: " + name + b"\n\n" + b"\n".join(lines)


@settings(max_examples=100, deadline=None)
@given(messages())
def test_agrees_with_the_standard_library(stored: bytes) -> None:
    def compare(part: Part, other: email.message.Message) -> None:
        assert b"%b/%b" % (part.type, part.subtype) == other.get_content_type().encode()
        if part.kind == MULTIPART:
            assert len(part.children) == len(other.get_payload())
            for child, other_child in zip(part.children, other.get_payload(), strict=True):
                compare(child, other_child)
        else:
            assert part.kind == LEAF
            assert stored[part.body : part.end].decode() == other.get_payload()

    compare(scan(stored).root, email.message_from_bytes(stored))


@pytest.mark.parametrize(
    "shape",
    [
        lambda n: HEAD + b"--x\n\na\n" * n,
        lambda n: nested(48) + b"\n--" * n,
        lambda n: b"To: " + b'"a" <' * n + b"\n\n",
        lambda n: b"Subject: " + b"=?utf-8?q?" * n + b"\n\n",
        lambda n: HEAD + b"--x\nno blank line\n" * n,
    ],
)
def test_time_grows_with_the_length_only(shape: Callable[[int], bytes]) -> None:
    def cost(count: int) -> float:
        stored = shape(count)
        best = 1e9
        for _ in range(3):
            begin = time.process_time()
            parsed = scan(stored)
            sum(map(len, whole_text(stored, parsed, headers=True)))
            best = min(best, time.process_time() - begin)
        return best

    small, large = cost(2_000), cost(16_000)
    # 8 times the length: 8 times the time if linear, 64 if quadratic
    assert large < 32 * max(small, 0.002)
