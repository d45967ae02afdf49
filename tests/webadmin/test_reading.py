"""A message on its page: its fields, its text, its attachments, and what it cannot do."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator

import pytest
from conftest import RunningDemo
from mailroom import Mailroom, letter
from visitor import Visitor, words

pytestmark = pytest.mark.xdist_group("web")
Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def room(webbed: RunningDemo) -> Iterator[Mailroom]:
    room = Mailroom(webbed, "felix")
    yield room
    room.close()


@pytest.fixture(scope="module")
def box(room: Mailroom) -> str:
    return room.mailbox("Reading & <more>")


@pytest.fixture(scope="module")
def felix(webbed: RunningDemo) -> Iterator[Visitor]:
    visitor = Visitor(webbed, "felix")
    yield visitor
    visitor.close()


def page(visitor: Visitor, box: str, uid: int, what: str = "message", **more: str):  # type: ignore[no-untyped-def]
    return visitor.get(f"/mail/{what}", params={"mailbox": box, "uid": uid, **more})


MIXED = """\
Content-Type: multipart/mixed; boundary=a

--a
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain; charset=utf-8

The plain side.
--b
Content-Type: multipart/related; boundary=c

--c
Content-Type: text/html; charset=utf-8

<p onclick="alert(1)">The <b>rich</b> side <img src="cid:dot@x"> <img src="https://tracker.example/p.gif"></p>
<script>alert(2)</script>
--c
Content-Type: image/gif
Content-ID: <dot@x>
Content-Transfer-Encoding: base64
Content-Disposition: inline

R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7
--c--
--b--
--a
Content-Type: text/plain; charset=iso-8859-1; name=notes.txt
Content-Disposition: attachment; filename="notes.txt"

caf\xe9 <b>
--a
Content-Type: application/x-thing
Content-Disposition: attachment; filename*=UTF-8''..%2F..%2Fetc%2Fp%C3%A4ss.txt
Content-Transfer-Encoding: base64

AAEC
--a
Content-Type: text/html
Content-Disposition: attachment; filename=evil.html

<script>alert(3)</script>
--a--
"""


def mixed() -> bytes:
    head = "From: =?utf-8?q?B=C3=A4rbel?= <b@xn--bcher-kva.example>\nTo: felix@example.org\nSubject: =?utf-8?b?5L2g5aW9?= <x>\nMIME-Version: 1.0\n"
    return (head + MIXED).encode("latin-1")


def test_its_fields_are_readable_and_it_is_read_from_then_on(room: Mailroom, box: str, felix: Visitor) -> None:
    uid = room.add(box, mixed())
    answer = page(felix, box, uid)
    said = words(answer)
    assert answer.status_code == 200 and "你好 <x>" in said and "Bärbel <b@bücher.example>" in said
    assert "\\Seen" in room.flags(box, uid)
    assert "notes.txt" in said and "pässt.txt".replace("sst", "ss") in said and "/etc/" not in said


def test_html_is_harmless_and_in_a_frame_of_its_own_policy(room: Mailroom, box: str, felix: Visitor) -> None:
    uid = room.add(box, mixed())
    assert "The <b>rich" not in page(felix, box, uid).text
    frame = page(felix, box, uid, "part/frame", part="1.2.1")
    assert "The <b>rich</b> side" in frame.text and "alert" not in frame.text and "tracker.example" not in frame.text
    assert "/mail/part?" in frame.text and "part=1.2.2" in frame.text
    policy = frame.headers["Content-Security-Policy"]
    assert (
        "default-src 'none'" in policy
        and "sandbox" in policy
        and "allow-scripts" not in policy
        and "https:" not in policy
    )
    assert frame.headers["X-Frame-Options"] == "SAMEORIGIN"
    with_pictures = page(felix, box, uid, "part/frame", part="1.2.1", images="1")
    assert 'src="https://tracker.example/p.gif"' in with_pictures.text
    assert "img-src 'self' https: http:" in with_pictures.headers["Content-Security-Policy"]
    picture = page(felix, box, uid, "part", part="1.2.2", inline="1")
    assert picture.headers["Content-Type"] == "image/gif" and picture.content.startswith(b"GIF89a")
    assert "The plain side." in words(page(felix, box, uid, plain="1"))


def test_attachments_are_saved_one_by_one_or_together_and_never_run_here(
    room: Mailroom, box: str, felix: Visitor
) -> None:
    uid = room.add(box, mixed())
    thing = page(felix, box, uid, "part", part="3")
    assert thing.content == b"\0\1\2" and thing.headers["Content-Disposition"].startswith("attachment;")
    evil = page(felix, box, uid, "part", part="4", inline="1")
    assert evil.headers["Content-Type"] == "application/octet-stream"
    assert evil.headers["Content-Disposition"].startswith("attachment;")
    assert "sandbox" in evil.headers["Content-Security-Policy"]
    notes = page(felix, box, uid, "part", part="2", inline="1")
    assert notes.headers["Content-Type"] == "text/plain; charset=utf-8" and notes.content.decode() == "café <b>"
    packed = zipfile.ZipFile(io.BytesIO(page(felix, box, uid, "part/zip").content))
    assert sorted(packed.namelist()) == ["_.._etc_päss.txt", "evil.html", "notes.txt"]
    assert packed.read("_.._etc_päss.txt") == b"\0\1\2"


def test_the_source_and_the_file_are_the_message_octet_by_octet(room: Mailroom, box: str, felix: Visitor) -> None:
    uid = room.add(box, mixed())
    source, saved = page(felix, box, uid, "part/source"), page(felix, box, uid, "part/save")
    assert source.content == saved.content == mixed().replace(b"\n", b"\r\n")
    assert source.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "filename*=UTF-8''%E4%BD%A0%E5%A5%BD%20_x_.eml" in saved.headers["Content-Disposition"]


def test_a_large_attachment_comes_whole(room: Mailroom, box: str, felix: Visitor) -> None:
    import base64
    import random

    octets = random.Random(7).randbytes(3 << 20)
    body = base64.encodebytes(octets).decode()
    uid = room.add(box, letter(body, "Large", "Content-Type: application/zip; name=large.zip", "Content-Transfer-Encoding: base64", "Content-Disposition: attachment"))  # fmt: skip
    assert page(felix, box, uid, "part", part="1").content == octets


def test_plain_text_has_links_and_folded_quotes_and_no_marks_of_the_senders(
    room: Mailroom, box: str, felix: Visitor
) -> None:
    text = "See https://example.com/a?b=1&c=2, <b>bold</b>\n" + "".join(f"> line {n}\n" for n in range(9)) + "Bye"
    answer = page(felix, box, room.add(box, letter(text)))
    assert 'href="https://example.com/a?b=1&amp;c=2"' in answer.text and "<b>bold" not in answer.text
    assert '<details class="quote"><summary>Quoted text</summary><blockquote>line 0' in answer.text


def test_flowed_text_is_put_together(room: Mailroom, box: str, felix: Visitor) -> None:
    text = "One \nline.\nAnother.\n> a quote \n> goes on\n-- \nme"
    answer = page(felix, box, room.add(box, letter(text, "f", "Content-Type: text/plain; format=flowed")))
    assert "One line.\nAnother." in answer.text and "a quote goes on" in answer.text


def test_what_our_host_found_out_about_the_sender_is_said_and_nothing_else(
    room: Mailroom, box: str, felix: Visitor
) -> None:
    ours = "Authentication-Results: localhost;\n\tspf=fail smtp.mailfrom=bank.example; dkim=pass (ok) header.d=news.example"
    forged = "Authentication-Results: mx.elsewhere.example; dkim=pass header.d=forged.example"
    said = words(page(felix, box, room.add(box, letter("x", "s", ours, forged))))
    assert "bank.example says that the sending host may not send for it" in said
    assert "Signed by news.example" in said and "forged.example" not in said


BROKEN = [
    b"",
    b"\n",
    b"Subject: no body",
    b"Content-Type: multipart/mixed; boundary=x\n\nno boundary at all",
    b"Content-Type: multipart/mixed\n\n--\n\n--\n",
    b"Content-Type: text/plain; charset=nonsense\n\n\xff\xfe\x01\x80",
    b"Content-Type: text/html; charset=utf-7\n\n+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!!not base64!!!",
    b"Content-Type: text/plain\nContent-Transfer-Encoding: x-what\n\nwhat",
    b'From: <<<>>>,,"\nTo: undisclosed:;\nDate: never\nSubject: =?utf-8?b?!!?= \xff\n\nx',
    b"Content-Type: message/rfc822\n\nSubject: inner\n\ninner",
    b"Content-Type: multipart/alternative; boundary=x\n\n--x\n\nonly\n--x--",
    b"Content-Type: multipart/related; boundary=x; start=nowhere\n\n--x\nContent-Type: image/png\n\nx\n--x--",
    b"Content-Type: " + b"multipart/mixed; boundary=x\n\n--x\nContent-Type: " * 60 + b"text/plain\n\ndeep",
    b"Date: Mon, 99 Foo 99999 99:99:99 +9999\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\nBEGIN:",
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_broken_mail_has_a_page_too(room: Mailroom, box: str, felix: Visitor, number: int) -> None:
    uid = room.add(box, BROKEN[number] or b"\r\n")
    for what in ("message", "message/print", "part/source"):
        assert page(felix, box, uid, what).status_code == 200, what
    assert page(felix, box, uid, "part", part="1").status_code in (200, 404)


def test_what_is_not_there_or_not_his_is_404(room: Mailroom, box: str, felix: Visitor, visit: Visit) -> None:
    uid = room.add(box, letter("mine"))
    jane = visit("jane")
    for what in ("message", "message/print", "part", "part/frame", "part/zip", "part/save", "part/source"):
        assert page(jane, box, uid, what, part="1").status_code == 404, what
        assert page(jane, f"Other Users/felix/{box}", uid, what, part="1").status_code == 404, what
        assert page(felix, box, 4_000_000_000, what, part="1").status_code == 404, what
    for bad in ("0", "-1", "x", "", "99999999999", "1,2", "*"):
        assert page(felix, box, bad).status_code == 404  # type: ignore[arg-type]
    for name in ("\0", "a\r\nx LOGOUT", '"', "*", "%", "../x", "x" * 3000, "&", "\\"):
        assert page(felix, name, uid).status_code == 404, name
    assert page(felix, box, uid, "part", part="1.9").status_code == 404
    assert page(felix, box, uid, "part", part="1]<0.5> (X").status_code == 404
    assert visit().get("/mail/message?mailbox=INBOX&uid=1").url.split("?")[0].endswith("/login")
