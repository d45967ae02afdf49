"""Two hundred broken and hostile messages by name, LF line ends unless that is what is broken. Made here, the same each time."""

from __future__ import annotations

import random
from collections.abc import Iterator

from mail_corpus import corpus

COUNT = 200
MANY = 500_000  # addresses in one field
DEEP = 10_000  # parts inside each other

_FROM = b"From: a@example.com\nTo: b@example.org\n"
_MIXED = _FROM + b"Content-Type: multipart/mixed; boundary="


def _message(kind: bytes, body: bytes = b"text\n", fields: bytes = b"") -> bytes:
    return _FROM + b"Content-Type: " + kind + b"\n" + fields + b"\n" + body


def _boundaries() -> Iterator[tuple[str, bytes]]:
    parts = b"--b\n\none\n--b\n\ntwo\n--b--\n"
    shapes = {
        "none": b"", "empty": b'""', "spaces": b'"   "', "quote open": b'"b', "quote inside": b'b"b', "semicolon": b'"b;"', "dashes": b"--",
        "long": b"b" * 5000, "nul": b"b\0", "eight bits": b"b\xe9", "regex": b'"(.*)+["', "newline": b'"b\n "', "comment": b"(b) b",
        "encoded": b"=?utf-8?q?b?=", "rfc2231": b"; boundary*0=b; boundary*1=", "percent": b"; boundary*=utf-8''b", "twice": b"c; boundary=b",
        "other": b"not-there", "colon": b"b:", "star": b"*",
    }  # fmt: skip
    for name, text in shapes.items():
        yield f"boundary {name}", _MIXED + text + b"\n\n" + parts
    for name, body in {
        "closed first": b"--b--\n--b\n\none\n--b--\n", "only opened": b"--b", "only delimiters": b"--b\n" * 300 + b"--b--\n",
        "no blank lines": b"--b\nnothing\n--b\nelse\n", "glued": b"--bone\n--b two\n--b--three\n", "CR after": b"--b\r\r\n\none\n--b--\r\r\n",
        "spaces before": b" --b\n\none\n --b--\n", "many closings": b"--b\n\n1\n" + b"--b--\n" * 300, "header goes on": b"--b\nSubject: x\n y\n--b\n z\n--b--\n",
        "half": b"--b\nContent-Ty",
    }.items():  # fmt: skip
        yield f"parts {name}", _MIXED + b"b\n\n" + body
    yield (
        "same boundary inside",
        _MIXED + b"b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nin\n--b--\n--b\n\nout\n--b--\n",
    )
    yield (
        "prefixes",
        _MIXED + b"b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\nin\n--b\n\nout\n--bb--\n--b--\n",
    )


def _nested(depth: int) -> bytes:
    return (
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth))
        + b"\ninmost\n"
    )


def _large() -> Iterator[tuple[str, bytes]]:
    yield "nested 60", _FROM + _nested(60)
    yield f"nested {DEEP}", _FROM + _nested(DEEP)
    yield f"nested {DEEP} closed", _FROM + _nested(DEEP) + b"".join(b"--b%d--\n" % n for n in reversed(range(DEEP)))
    yield f"messages {DEEP} deep", b"Content-Type: message/rfc822\n\n" * DEEP + b"Subject: inmost\n\nx\n"
    yield (
        f"digests {DEEP} deep",
        b"".join(b"Content-Type: multipart/digest; boundary=b%d\n\n--b%d\n\n" % (n, n) for n in range(DEEP)),
    )
    yield "parts 20000", _MIXED + b"b\n\n" + b"--b\n\nx\n" * 20_000 + b"--b--\n"
    yield "delimiters 200000", _MIXED + b"b\n\n" + b"--b\n" * 200_000
    yield "almost delimiters", _MIXED + b"b\n\n--b\n\n" + b"--bx\n" * 200_000 + b"--b--\n"
    yield (
        f"addresses {MANY}",
        b"From: a@example.com\nTo: " + b"a@b.example, " * MANY + b"last@b.example\nSubject: many\n\nx\n",
    )
    yield (
        f"addresses {MANY} folded",
        b"From: a@example.com\nTo: " + b"a@b.example,\n " * MANY + b"last@b.example\nSubject: many\n\nx\n",
    )
    for name, text in {
        "groups": b"g:;,", "opened groups": b"g:", "angles": b"<", "quotes": b'"', "comments": b"(", "ends of comments": b")", "ats": b"@",
        "commas": b",", "backslashes": b"\\", "colons": b":", "dots": b".", "encoded words": b"=?utf-8?q?a?= ", "encoded beginnings": b"=?",
    }.items():  # fmt: skip
        yield f"many {name}", b"From: " + text * (MANY // 5) + b"\nSubject: " + text * 1000 + b"\n\nx\n"
    yield "parameters", _message(b"text/plain" + b"; a=b" * 50_000)
    yield "continuations", _message(b"text/plain" + b"".join(b"; name*%d=x" % n for n in range(20_000)))
    yield "fields 100000", _FROM + b"".join(b"X-%d: y\n" % n for n in range(100_000)) + b"\nx\n"
    yield "folded 100000", _FROM + b"Subject: x\n" + b" y\n" * 100_000 + b"\nx\n"
    yield "references 100000", _FROM + b"References: " + b"<a@b> " * 100_000 + b"\n\nx\n"
    yield "header 3 MB", _FROM + b"X-Long: " + b"x" * 3_000_000 + b"\nSubject: behind it\n\nx\n"
    yield "line 3 MB", _FROM + b"Subject: long\n\n" + b"x" * 3_000_000 + b"\n"
    yield "lines of nothing", _FROM + b"\n" + b"\n" * 1_000_000
    yield "subject 3 MB", _FROM + b"Subject: " + b"s" * 3_000_000 + b"\n\nx\n"
    yield (
        "combining marks",
        _FROM + b"Subject: x" + "\u0301".encode() * 100_000 + b"\n\nx" + "\u0301".encode() * 100_000 + b"\n",
    )


def _octets() -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "one line end", b"\n"
    yield "one letter", b"x"
    yield "one space", b" "
    yield "colon", b":\n\n"
    yield "colons", b":::\n:\n\n:"
    yield "NULs", b"\0" * 1000
    yield "NUL in a name", b"Sub\0ject: x\nSubject: y\n\nx\n"
    yield "NUL in a subject", _FROM + b"Subject: x\0y\n\nx\n"
    yield "NUL in an address", b'From: a\0b@example.com, "c\0" <d@example.com>\n\nx\n'
    yield "NUL in a type", _message(b"text/pl\0ain; charset=\0")
    yield "NUL in a body", _FROM + b"Subject: x\n\nx\0y\n\0\n"
    yield "NUL encoded", _message(b"text/plain", b"eAB5\n", b"Content-Transfer-Encoding: base64\n")
    yield "all octets", _FROM + b"\n" + bytes(range(256)) * 4
    yield (
        "all octets in a subject",
        _FROM + b"Subject: " + bytes(n for n in range(256) if n not in b"\r\n") + b"\n\nx\n",
    )
    yield "lone CR in a header", b"From: a@example.com\rSubject: x\rTo: b@example.com\n\nx\n"
    yield "lone CR in a body", _FROM + b"Subject: x\n\none\rtwo\r\rthree\n"
    yield "only CRs", b"\r" * 1000
    yield "CR CR LF", b"From: a@example.com\r\r\nSubject: x\r\r\n\r\r\nbody\r\r\n"
    yield "CR at the end", _FROM + b"Subject: x\n\nbody\r"
    yield "line ends mixed", b"From: a@example.com\r\nSubject: x\nTo: b@example.com\r\n\nbody\r\nend\n"
    yield "mbox line", b"From a@example.com Mon Mar  2 10:00:00 2026\nFrom: a@example.com\nSubject: x\n\nx\n"
    yield "continuation first", b" begins so\nSubject: x\n\nx\n"
    yield "only continuations", b" a\n\tb\n c\n"
    yield "no colon anywhere", b"nothing here\nis a header\n\nx\n"
    yield "spaces as blank line", b"Subject: x\n   \nbody, or not\n\nbody\n"
    yield "escape characters", _FROM + b"Subject: \x1b[2J\x07\x08\x7f\n\n\x1b]0;x\x07\n"
    yield "literal in a subject", _FROM + b'Subject: {5}\r\n hello) ("\\\n\nx\n'
    yield "IMAP in a name", b'From: ")\\" NIL (" <a@example.com>\nSubject: " NIL\n\nx\n'
    yield "byte order mark", b"\xef\xbb\xbfFrom: a@example.com\nSubject: x\n\nx\n"
    yield "UTF-16", "From: a@example.com\nSubject: x\n\nx\n".encode("utf-16")
    for name, octets in {
        "latin-1": b"caf\xe9", "GB18030": "会议".encode("gb18030"), "cut UTF-8": "会议".encode()[:-1], "surrogates": b"\xed\xa0\x80", "overlong": b"\xc0\xaf",
        "high": b"\xff\xfe\xfd", "C1": b"\x80\x85\x9f",
    }.items():  # fmt: skip
        yield (
            f"eight bits {name}",
            b"From: "
            + octets
            + b" <"
            + octets
            + b"@example.com>\nSubject: "
            + octets
            + b"\nTo: "
            + octets
            + b"\n\n"
            + octets
            + b"\n",
        )


def _charsets() -> Iterator[tuple[str, bytes]]:
    for charset, octets in {
        "utf-8": b"\xff\xfe", "us-ascii": b"\xe9", "utf-16": b"x", "utf-7": b"+AAAA-+////-", "x-none": b"\xe9", "": b"\xe9", "punycode": b"xn--" * 500,
        "idna": b"\xe9" * 500, "rot13": b"abc", "zlib": b"x", "base64": b"x", "iso-2022-jp": b"\x1b$Bx", "gb2312": b"\x81", "big5": b"\xff", "hz-gb-2312": b"~{x",
        "unicode-escape": b"\\u12", "utf-8\0": b"x", "a" * 3000: b"x", "euc-jp": b"\x8f", "ks_c_5601-1987": b"\xa1",
    }.items():  # fmt: skip
        word = (
            b"=?"
            + charset[:60].encode()
            + b"?b?"
            + octets.hex().encode()
            + b"?= =?"
            + charset[:60].encode()
            + b"?q?=ZZ_="
            + b"?="
        )
        yield (
            f"charset {charset[:20]!r}",
            _FROM
            + b"Subject: "
            + word
            + b'\nContent-Type: text/plain; charset="'
            + charset.encode()
            + b'"\n\n'
            + octets
            + b"\n",
        )


def _encodings() -> Iterator[tuple[str, bytes]]:
    for encoding, body in {
        "base64": b"A", "BASE64 ": b"====", "base64;x": b"!!!!\n????", "quoted-printable": b"=\n=Z=4\n==\n=0", "binary": b"\0\r\n\0", "8bit": b"\xff",
        "x-uuencode": b"begin 644 x\n#\n", "7bit, base64": b"QQ==\n", "": b"x\n", "base64\0": b"QQ==", "bäse64": b"QQ==", "q" * 3000: b"x",
    }.items():  # fmt: skip
        yield (
            f"encoding {encoding[:20]!r}",
            _message(b"text/plain", body, b"Content-Transfer-Encoding: " + encoding.encode() + b"\n"),
        )
    for kind in (
        b"", b"/", b"text/", b"/plain", b"text plain", b"text/plain/x", b";charset=x", b"multipart", b"multipart/", b"message/rfc822; boundary=b", b"text/plain; =x",
        b"text/plain; charset", b'text/plain; charset="', b"text/plain; name*99999=x; name*0*=y", b"text/plain; name*=", b"text/plain; name*=x'y", b"*/*",
        b"text/plain; name=\"a\\", b"t" * 3000 + b"/x", b"\xe9/\xe9; \xe9=\xe9", b"(((((", b"text/plain;;;;;",
    ):  # fmt: skip
        yield f"type {kind[:24]!r}", _message(kind)


def _without_fields() -> Iterator[tuple[str, bytes]]:
    fields = {
        "From": b"From: a@example.com\n",
        "To": b"To: b@example.com\n",
        "Date": b"Date: Mon, 2 Mar 2026 10:00:00 +0000\n",
        "Message-ID": b"Message-ID: <x@y>\n",
    }
    for name in fields:
        yield f"without {name}", b"".join(text for known, text in fields.items() if known != name) + b"\nx\n"
        yield f"only {name}", fields[name] + b"\nx\n"


def malformed() -> dict[str, bytes]:
    """COUNT messages, always the same, always in this order: the hand-made ones, then ordinary ones that were damaged."""
    made = dict([*_boundaries(), *_large(), *_octets(), *_charsets(), *_encodings(), *_without_fields()])
    dice = random.Random(1)
    ordinary = list(corpus().items())
    while len(made) < COUNT:
        name, text = ordinary[dice.randrange(len(ordinary))]
        for _ in range(dice.randint(1, 8)):
            at, length = dice.randrange(len(text)), dice.randint(1, 20)
            text = dice.choice(
                (
                    text[:at] + text[at + length :],
                    text[:at] + text[at : at + length] * 2 + text[at:],
                    text[:at] + dice.randbytes(2) + text[at:],
                )
            )
        made[f"{name} damaged {len(made)}"] = text
    return made
