"""Messages of every ordinary and many an odd kind, by name, with LF line ends. Made here, the same each time."""

from __future__ import annotations

import base64
import quopri

_FROM = "From: Ann Author <ann@example.com>\nTo: Bob <bob@example.org>\n"
_DATE = "Date: Mon, 2 Mar 2026 10:11:12 +0100\n"


def _plain(header: str, body: str = "Hello\n\nthere.\n") -> bytes:
    return f"{header}\n{body}".encode()


def _mime(kind: str, body: str, header: str = "") -> bytes:
    return f"{_FROM}{_DATE}Subject: {kind.partition(';')[0]}\n{header}MIME-Version: 1.0\nContent-Type: {kind}\n\n{body}".encode()


def _parts(boundary: str, *parts: str, preamble: str = "", epilogue: str = "") -> str:
    return preamble + "".join(f"--{boundary}\n{part}\n" for part in parts) + f"--{boundary}--\n" + epilogue


TEXT = "Content-Type: text/plain; charset=utf-8\n\nplain text\n"
HTML = "Content-Type: text/html; charset=utf-8\n\n<p>html text</p>\n"
IMAGE = (
    "Content-Type: image/png; name=dot.png\nContent-Transfer-Encoding: base64\nContent-ID: <dot@example.com>\n"
    "Content-Disposition: inline; filename=dot.png\n\n" + base64.encodebytes(bytes(range(200))).decode()
)
INNER = "From: inner@example.net\nTo: (nobody)\nSubject: inside\nMessage-ID: <inner@example.net>\n\ninner body\n"
INNER_MULTIPART = (
    "From: inner@example.net\nSubject: inside, in parts\nMIME-Version: 1.0\n"
    "Content-Type: multipart/alternative; boundary=in\n\n" + _parts("in", TEXT, HTML)
)


def _headers() -> dict[str, bytes]:
    """Headers of messages without structure."""
    return {
        "plain": _plain(f"{_FROM}{_DATE}Subject: plain\nMessage-ID: <plain@example.com>\n"),
        "no-header": b"\nbody only\n",
        "no-body": _plain(f"{_FROM}Subject: no body\n", ""),
        "no-blank-line": f"{_FROM}Subject: header only\n".encode(),
        "no-subject": _plain(_FROM + _DATE),
        "no-from": _plain("To: bob@example.org\nSubject: nobody wrote this\n"),
        "no-to": _plain("From: ann@example.com\nSubject: for nobody\n"),
        "no-date": _plain(f"{_FROM}Subject: some day\n"),
        "empty-subject": _plain(f"{_FROM}Subject:\n"),
        "blank-subject": _plain(f"{_FROM}Subject:   \n"),
        "empty-from": _plain("From:\nTo:\nCc:\nSubject: empty fields\n"),
        "empty-message-id": _plain(f"{_FROM}Subject: ids\nMessage-ID:\nIn-Reply-To:\n"),
        "upper-case-names": _plain("FROM: ann@example.com\nTO: bob@example.org\nSUBJECT: loud\nDATE: Mon, 2 Mar 2026 10:11:12 +0100\n"),
        "space-before-colon": _plain("From : ann@example.com\nSubject : spaced\nTo\t: bob@example.org\n"),
        "folded-subject": _plain(f"{_FROM}Subject: first\n second\n\tthird\n"),
        "folded-to": _plain("From: ann@example.com\nTo: Bob <bob@example.org>,\n Carl <carl@example.org>,\n\tdora@example.org\nSubject: folded\n"),
        "folded-after-name": _plain("From:\n ann@example.com\nSubject:\n begins on the next line\n"),
        "tab-after-name": _plain("From:\tann@example.com\nSubject:\ttab\n"),
        "no-space-after-name": _plain("From:ann@example.com\nSubject:tight\n"),
        "two-subjects": _plain(f"{_FROM}Subject: the first\nSubject: the second\n"),
        "two-froms": _plain("From: ann@example.com\nFrom: eve@example.com\nSubject: two authors' fields\n"),
        "two-tos": _plain("From: ann@example.com\nTo: bob@example.org\nTo: carl@example.org\nSubject: two To\n"),
        "two-message-ids": _plain(f"{_FROM}Subject: two ids\nMessage-ID: <one@example.com>\nMessage-ID: <two@example.com>\n"),
        "two-dates": _plain(f"{_FROM}Subject: two dates\nDate: Mon, 2 Mar 2026 10:00:00 +0000\nDate: Tue, 3 Mar 2026 10:00:00 +0000\n"),
        "sender": _plain(f"{_FROM}Sender: Sec <sec@example.com>\nReply-To: Desk <desk@example.com>, other@example.com\nSubject: sender\n"),
        "empty-sender": _plain(f"{_FROM}Sender:\nReply-To: \nSubject: empty sender\n"),
        "cc-bcc": _plain(f"{_FROM}Cc: C <c@example.org>, d@example.org\nBcc: hidden@example.org\nSubject: copies\n"),
        "group": _plain("From: ann@example.com\nTo: Friends: bob@example.org, Carl <carl@example.org>;\nSubject: group\n"),
        "empty-group": _plain("From: ann@example.com\nTo: undisclosed-recipients:;\nSubject: empty group\n"),
        "group-and-address": _plain("From: ann@example.com\nTo: A: a@example.org;, b@example.org, C: c@example.org;\nSubject: groups\n"),
        "quoted-group": _plain('From: ann@example.com\nTo: "My, friends": a@example.org;\nSubject: quoted group\n'),
        "open-group": _plain("From: ann@example.com\nTo: Friends: bob@example.org\nSubject: open group\n"),
        "comment-name": _plain("From: ann@example.com (Ann Author)\nTo: bob@example.org (Bob (the builder))\nSubject: comments\n"),
        "comment-inside": _plain("From: Ann (comment) Author <ann@example.com>\nTo: (to whom) <bob@example.org>\nSubject: comments inside\n"),
        "comment-in-address": _plain("From: ann(her)@(at)example.com\nSubject: comment in the address\n"),
        "quoted-name": _plain('From: "Author, Ann \\"A\\"" <ann@example.com>\nSubject: quoted name\n'),
        "quoted-local": _plain('From: "ann author"@example.com\nTo: "a@b"@example.org\nSubject: quoted local part\n'),
        "dotted-name": _plain("From: Ann B. Author <ann@example.com>\nTo: J.R.R. Tolkien <jrr@example.org>\nSubject: dots\n"),
        "name-mixed": _plain('From: Ann "the" Author <ann@example.com>\nSubject: mixed phrase\n'),
        "route": _plain("From: <@relay.example,@other.example:ann@example.com>\nSubject: source route\n"),
        "domain-literal": _plain("From: ann@[192.0.2.1]\nTo: Bob <bob@[IPv6:2001:db8::1]>\nSubject: literal\n"),
        "local-only": _plain("From: root\nTo: root, ann\nSubject: local names\n"),
        "null-path": _plain("From: <>\nTo: bob@example.org\nSubject: nobody\n"),
        "name-null-path": _plain("From: Mailer <>\nSubject: a name and nobody\n"),
        "double-angle": _plain("From: Ann <<ann@example.com>>\nSubject: double angle\n"),
        "open-angle": _plain("From: Ann <ann@example.com\nSubject: open angle\n"),
        "open-quote": _plain('From: "Ann <ann@example.com>\nSubject: open quote\n'),
        "open-comment": _plain("From: ann@example.com (Ann\nSubject: open comment\n"),
        "commas": _plain("From: ,ann@example.com,,bob@example.com,\nSubject: commas\n"),
        "semicolons": _plain("From: ann@example.com\nTo: a@example.org; b@example.org\nSubject: semicolons\n"),
        "at-in-name": _plain("From: ann@example.com <ann@example.com>\nSubject: address as name\n"),
        "spaces-in-address": _plain("From: ann @ example.com\nSubject: spaces\n"),
        "encoded-subject-q": _plain(f"{_FROM}Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe_aus_M=C3=BCnchen?=\n"),
        "encoded-subject-b": _plain(f"{_FROM}Subject: =?UTF-8?B?5Lya6K6u6YCa55+l?= =?UTF-8?B?77ya5piO5aSp?=\n"),
        "encoded-gb2312": _plain(f"{_FROM}Subject: =?gb2312?B?{base64.b64encode('项目进展'.encode('gb2312')).decode()}?=\n"),
        "encoded-latin1": _plain(f"{_FROM}Subject: =?iso-8859-1?Q?caf=E9?= and more\n"),
        "encoded-name": _plain("From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.com>\nSubject: encoded name\n"),
        "encoded-comment": _plain("From: juergen@example.com (=?utf-8?q?J=C3=BCrgen?=)\nSubject: encoded comment\n"),
        "encoded-language": _plain(f"{_FROM}Subject: =?us-ascii*en?Q?keyword?=\n"),
        "encoded-broken": _plain(f"{_FROM}Subject: =?utf-8?q?broken\n"),
        "encoded-unknown-charset": _plain(f"{_FROM}Subject: =?x-none?q?what=20now?=\n"),
        "raw-utf8-subject": _plain(f"{_FROM}Subject: 会议 raw\n"),
        "raw-utf8-name": _plain("From: 张伟 <zhang@example.com>\nTo: Jürgen <j@example.org>\nSubject: raw names\n"),
        "raw-latin1": f"{_FROM}Subject: caf".encode() + b"\xe9\n\nbody\n",
        "long-subject": _plain(f"{_FROM}Subject: {'word ' * 300}end\n"),
        "quote-in-subject": _plain(f'{_FROM}Subject: say "yes" \\ no\n'),
        "received-lines": _plain("Received: from a by b; Mon, 2 Mar 2026 10:00:00 +0000\nReceived: from c\n by d; Mon, 2 Mar 2026 09:00:00 +0000\n" + _FROM + "Subject: trace\n"),
        "x-test-twice": _plain(f"{_FROM}X-Test: one\nSubject: fields\nX-Test: two\n  folded\n"),
        "colon-missing": _plain(f"{_FROM}this is no field\nSubject: after it\n"),
        "message-id-bare": _plain(f"{_FROM}Subject: bare id\nMessage-ID: bare@example.com\n"),
        "long-lines": _plain(f"{_FROM}Subject: long lines\n", "x" * 3000 + "\n" + "y" * 998 + "\n"),
        "dots": _plain(f"{_FROM}Subject: dots in the body\n", ".\n..\n.end\n"),
        "no-last-line-end": _plain(f"{_FROM}Subject: no last line end\n", "ends here"),
        "from-line-in-body": _plain(f"{_FROM}Subject: mbox\n", "From nobody Mon Mar  2\n>From quoted\n"),
        "eight-bit-body": _plain(f"{_FROM}Subject: eight bits\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", "Grüße 你好\n"),
    }  # fmt: skip


def _dates() -> dict[str, bytes]:
    """Date fields, the odd ones too."""
    dates = {
        "usual": "Tue, 3 Mar 2026 09:08:07 +0000", "no-day": "3 Mar 2026 09:08:07 +0000", "no-seconds": "Tue, 3 Mar 2026 09:08 -0500",
        "two-digit-year": "Tue, 3 Mar 26 09:08:07 GMT", "named-zone": "Tue, 3 Mar 2026 09:08:07 EST", "zone-comment": "Tue, 3 Mar 2026 09:08:07 +0800 (CST)",
        "year-1999": "Fri, 31 Dec 1999 23:59:59 +0000", "late-zone": "Mon, 2 Mar 2026 23:30:00 -1100", "early-zone": "Wed, 4 Mar 2026 00:30:00 +1300",
        "leading-zero": "Tue, 03 Mar 2026 09:08:07 +0000", "garbage": "some time ago", "iso": "2026-03-03T09:08:07Z", "empty": "",
        "obsolete-zone": "Tue, 3 Mar 2026 09:08:07 Z", "no-zone": "Tue, 3 Mar 2026 09:08:07", "february-30": "Mon, 30 Feb 2026 09:00:00 +0000",
    }  # fmt: skip
    return {f"date-{name}": _plain(f"{_FROM}Date: {date}\nSubject: date {name}\n") for name, date in dates.items()}


def _structures() -> dict[str, bytes]:
    """MIME structures."""
    qp = quopri.encodestring("Grüße = gut, Ende mit Leerraum \n".encode()).decode()
    return {
        "mime-text": _mime("text/plain; charset=utf-8", "text\n"),
        "mime-upper-case": _mime('TEXT/PLAIN; CHARSET="US-ASCII"; FORMAT=Flowed', "text\n"),
        "mime-no-parameters": _mime("text/plain", "text\n"),
        "mime-html": _mime("text/html; charset=iso-8859-1", "<p>caf&eacute;</p>\n"),
        "mime-qp": _mime("text/plain; charset=utf-8", qp, "Content-Transfer-Encoding: quoted-printable\n"),
        "mime-base64": _mime("text/plain; charset=utf-8", base64.encodebytes("Grüße 你好\n".encode() * 20).decode(), "Content-Transfer-Encoding: BASE64\n"),
        "mime-binary-type": _mime("application/pdf; name=a.pdf", base64.encodebytes(bytes(range(256))).decode(), "Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=a.pdf; size=256\n"),
        "mime-comment": _mime("text/plain (a comment); charset=utf-8 (another)", "text\n"),
        "mime-unknown-type": _mime("x-odd/x-kind; x=1", "text\n"),
        "mime-bad-type": _mime("text", "text\n"),
        "mime-empty-type": _mime("", "text\n"),
        "mime-trailing-semicolon": _mime("text/plain; charset=utf-8;", "text\n"),
        "mime-unquoted-space": _mime("text/plain; name=two words.txt; charset=utf-8", "text\n"),
        "mime-all-fields": _mime("text/plain; charset=utf-8", "text\n", "Content-ID: <id@example.com>\nContent-Description: what it is\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\nContent-Language: en, de\nContent-Location: http://example.com/a\nContent-Disposition: inline\n"),
        "mime-language": _mime("text/plain", "text\n", "Content-Language: zh-CN\n"),
        "mime-rfc2231": _mime("text/plain; name*=utf-8''%e4%bd%a0%e5%a5%bd.txt", "text\n"),
        "mime-rfc2231-parts": _mime("text/plain; name*0=very; name*1=long; name*2=.txt", "text\n"),
        "mime-rfc2231-both": _mime("text/plain; name*0*=utf-8''%e4%bd; name*1*=%a0; name*2=.txt", "text\n"),
        "mime-encoded-name": _mime('text/plain; name="=?utf-8?q?J=C3=BCrgen.txt?="', "text\n"),
        "mime-raw-name": _mime('text/plain; name="你好.txt"', "text\n"),
        "mime-escaped-name": _mime('text/plain; name="a \\"b\\" c.txt"', "text\n"),
        "no-mime-version": f"{_FROM}Subject: no version\nContent-Type: text/html\n\n<p>x</p>\n".encode(),
        "mixed": _mime("multipart/mixed; boundary=b1", _parts("b1", TEXT, IMAGE)),
        "alternative": _mime('multipart/alternative; boundary="b 1"', _parts("b 1", TEXT, HTML)),
        "related-in-mixed": _mime("multipart/mixed; boundary=out", _parts("out", "Content-Type: multipart/related; boundary=in; type=\"text/html\"\n\n" + _parts("in", HTML, IMAGE), TEXT)),
        "three-deep": _mime("multipart/mixed; boundary=x1", _parts("x1", "Content-Type: multipart/related; boundary=x2\n\n" + _parts("x2", "Content-Type: multipart/alternative; boundary=x3\n\n" + _parts("x3", TEXT, HTML), IMAGE), IMAGE)),
        "preamble-epilogue": _mime("multipart/mixed; boundary=b", _parts("b", TEXT, preamble="This is MIME.\n", epilogue="The end.\n")),
        "bare-parts": _mime("multipart/mixed; boundary=b", _parts("b", "\nno header at all\n", "Content-Type: text/html\n\n<p>\n")),
        "empty-part": _mime("multipart/mixed; boundary=b", _parts("b", "", TEXT)),
        "part-without-body": _mime("multipart/mixed; boundary=b", _parts("b", "Content-Type: text/html\n", TEXT)),
        "digest": _mime("multipart/digest; boundary=d", _parts("d", "\n" + INNER, "Content-Type: text/plain\n\nno message\n")),
        "message": _mime("message/rfc822", INNER),
        "message-multipart": _mime("message/rfc822", INNER_MULTIPART),
        "message-in-mixed": _mime("multipart/mixed; boundary=m", _parts("m", TEXT, "Content-Type: message/rfc822\nContent-Description: forwarded\nContent-Disposition: attachment\n\n" + INNER)),
        "message-multipart-in-mixed": _mime("multipart/mixed; boundary=m", _parts("m", TEXT, "Content-Type: message/rfc822\n\n" + INNER_MULTIPART, IMAGE)),
        "message-in-message": _mime("message/rfc822", "From: outer@example.net\nSubject: outer\nContent-Type: message/rfc822\n\n" + INNER),
        "message-global": _mime("multipart/mixed; boundary=m", _parts("m", TEXT, "Content-Type: message/global\n\nFrom: 张 <张@例子.example>\nSubject: 国际\n\n正文\n")),
        "message-empty": _mime("message/rfc822", ""),
        "message-partial": _mime("message/partial; id=\"a@example.com\"; number=1; total=2", "Subject: piece\n\nrest\n"),
        "message-external": _mime("message/external-body; access-type=URL; URL=\"http://example.com/\"", "Content-Type: image/png\n\n"),
        "delivery-report": _mime("multipart/report; report-type=delivery-status; boundary=r", _parts("r", "\nIt failed.\n", "Content-Type: message/delivery-status\n\nReporting-MTA: dns; a.example\n\nFinal-Recipient: rfc822; x@example.org\nAction: failed\nStatus: 5.1.1\n", "Content-Type: text/rfc822-headers\n\nSubject: what failed\n")),
        "no-closing": _mime("multipart/mixed; boundary=b", f"--b\n{TEXT}\n--b\n{HTML}"),
        "no-boundary-found": _mime("multipart/mixed; boundary=b", "only text here\n"),
        "no-boundary-parameter": _mime("multipart/mixed", "--b\n\ntext\n--b--\n"),
        "boundary-prefix": _mime("multipart/mixed; boundary=bb", _parts("bb", "Content-Type: multipart/mixed; boundary=bbb\n\n" + _parts("bbb", TEXT), TEXT)),
        "boundary-trailing-space": _mime("multipart/mixed; boundary=b", f"--b  \n{TEXT}\n--b-- \n"),
        "inner-not-closed": _mime("multipart/mixed; boundary=o", f"--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n{TEXT}\n--o\n{HTML}\n--o--\n"),
        "unknown-encoding": _mime("text/plain", "text\n", "Content-Transfer-Encoding: x-uuencode\n"),
        "encoding-comment": _mime("text/plain", "text\n", "Content-Transfer-Encoding: 7bit (as usual)\n"),
        "multipart-base64": _mime("multipart/mixed; boundary=b", _parts("b", TEXT), "Content-Transfer-Encoding: base64\n"),
    }  # fmt: skip


def _threads() -> dict[str, bytes]:
    """Conversations, with and without References, and one subject shared by strangers."""
    made: dict[str, bytes] = {}

    def put(name: str, subject: str, minute: int, fields: str = "") -> None:
        made[f"thread-{name}"] = _plain(
            f"From: {name}@example.com\nTo: list@example.org\nDate: Thu, 5 Mar 2026 10:{minute:02}:00 +0000\n"
            f"Subject: {subject}\nMessage-ID: <{name}@t.example>\n{fields}"
        )

    put("root", "Budget", 0)
    put("reply1", "Re: Budget", 1, "References: <root@t.example>\nIn-Reply-To: <root@t.example>\n")
    put("reply2", "Re: Budget", 2, "References: <root@t.example>\n")
    put("deep", "Re: Re: Budget", 3, "References: <root@t.example> <reply1@t.example>\n")
    put("only-irt", "AW: Budget", 4, "In-Reply-To: <reply2@t.example>\n")
    put("lost-parent", "Re: Lost", 5, "References: <nowhere@t.example>\n")
    put("lost-sibling", "Re: Lost", 6, "References: <nowhere@t.example>\n")
    put("gap", "Re: Gap", 7, "References: <root2@t.example> <missing@t.example>\n")
    put("root2", "Gap", 8)
    put("same-subject", "budget", 9)
    put("fwd", "Fwd: [list] Budget (fwd)", 10)
    put("fwd-brackets", "[Fwd: Budget]", 11)
    put("loop1", "Loop", 12, "References: <loop2@t.example>\n")
    put("loop2", "Loop", 13, "References: <loop1@t.example>\n")
    put("self", "Self", 14, "References: <self@t.example>\n")
    put("chinese", "=?utf-8?B?5Lya6K6u?=", 15)
    put("chinese-reply", "Re: =?utf-8?B?5Lya6K6u?=", 16, "References: <chinese@t.example>\n")
    put("blob", "[ticket 7] printer", 17)
    put("blob-reply", "Re: [ticket 7] printer", 18)
    put("empty", "", 19)
    put("only-re", "Re:", 20)
    put("irt-text", "Old program", 21, "In-Reply-To: Your message of Monday <root2@t.example>\n")
    return made


def corpus() -> dict[str, bytes]:
    """All messages by name, always in this order."""
    return {**_headers(), **_dates(), **_structures(), **_threads()}
