"""Recipients as people type them, and the octets of what they write."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest

from webadmin.mail.compose_form import ComposeForm
from webadmin.mail.letter import MAX_REFERENCES, Letter, new_key, octets, uploaded
from webadmin.mail.once import Once
from webadmin.mail.recipients import AddressMistake, Person, people, typed
from webadmin.mail.source import Place, structure
from webadmin.shown import readable

JANE = Person("Jane Doe", "jane@example.com")


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage) and not message.defects
    return message


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("a@x.example", (Person("", "a@x.example"),)),
        ("a@x.example, b@x.example;c@x.example\nd@x.example，e@x.example", tuple(Person("", f"{c}@x.example") for c in "abcde")),
        ("Jane Doe <jane@x.example>,", (Person("Jane Doe", "jane@x.example"),)),
        ('"Doe, \\"J\\" Jane" <jane@x.example>', (Person('Doe, "J" Jane', "jane@x.example"),)),
        ("Doe, Jane <jane@x.example>", (Person("Doe, Jane", "jane@x.example"),)),
        ("李娜 <李娜@例子.example>", (Person("李娜", "李娜@xn--fsqu00a.example"),)),
        ("a@x.example, a@x.example", (Person("", "a@x.example"),)),
    ],
)  # fmt: skip
def test_people_as_they_are_typed(text: str, found: tuple[Person, ...]) -> None:
    assert people(text) == found
    assert people(typed(found)) == found


@pytest.mark.parametrize("text", ["jane", "jane, oliver@x.example, emma", "a b@x.example", "Jane <jane@x.example", "@x.example", "a@", "a@b..c", "<>", "x@y@", f"{'a' * 70}@x.example"])  # fmt: skip
def test_what_is_no_address_is_named(text: str) -> None:
    with pytest.raises(AddressMistake) as caught:
        people(text)
    assert caught.value.piece in text and caught.value.piece


def test_domains_are_shown_in_their_own_script() -> None:
    assert readable("li.na@xn--fsqu00a.example") == "li.na@例子.example"
    assert readable("x@xn--.example") == "x@xn--.example" and readable("no address") == "no address"


def test_no_header_comes_from_what_is_typed() -> None:
    evil = "x\r\nBcc: evil@example.com\r\n\r\nbody\u2028"
    letter = Letter(
        new_key(), Person(evil, "jane@example.com"), (Person(evil, "a@x.example"),), subject=evil,
        in_reply_to=evil, references=f"<good@x.example>\r\nX-Evil: 1 {evil}", text="hi", about=evil,
        attachments=(uploaded(f'../{evil}"; name=y.exe', "text/plain\r\nX-Evil: 1", b"z"),),
    )  # fmt: skip
    for content in (octets(letter, 0.0), octets(letter, 0.0, hidden=True, draft=True)):
        message = parsed(content)
        assert message["Bcc"] is None and message["X-Evil"] is None and message["In-Reply-To"] is None
        assert message["References"] == "<good@x.example>"
        (attached,) = message.iter_attachments()
        assert attached["X-Evil"] is None and "/" not in (attached.get_filename() or "")
        assert message.get_body().get_content().strip() == "hi"  # type: ignore[union-attr]


def test_bcc_is_only_in_the_authors_copy() -> None:
    letter = Letter(new_key(), JANE, (Person("", "a@x.example"),), bcc=(Person("", "b@x.example"),))
    assert b"b@x.example" not in octets(letter, 0.0) and letter.recipients == ("a@x.example", "b@x.example")
    assert parsed(octets(letter, 0.0, hidden=True))["Bcc"] == "b@x.example"


def test_names_texts_and_files_of_every_script() -> None:
    name = "naïve 文书 \U0001f600.txt"
    letter = Letter(
        new_key(), Person("王伟", "wangwei@example.com"), (Person("Jörg Müller", "j@x.example"),), subject="Grüße 世界 " * 30,
        text="你好\n" + "lang " * 50, attachments=(uploaded(name, "", b"\0\xff" * 500), uploaded("x.eml", "message/rfc822", b"y")),
    )  # fmt: skip
    content = octets(letter, 0.0)
    assert (
        content.isascii() and max(map(len, content.split(b"\r\n"))) < 998 and b"\n" not in content.replace(b"\r\n", b"")
    )
    message = parsed(content)
    assert message["Subject"] == ("Grüße 世界 " * 30).strip() and "王伟" in message["From"]
    first, second = message.iter_attachments()
    assert first.get_filename() == name and first.get_payload(decode=True) == b"\0\xff" * 500
    assert second.get_content_type() == "application/octet-stream"
    assert not letter.needs_utf8


def test_an_address_without_ascii_form() -> None:
    letter = Letter(new_key(), JANE, people("李娜@例子.example"), text="x")
    assert letter.needs_utf8 and "李娜@xn--fsqu00a.example" in octets(letter, 0.0).decode()


def test_rich_text_has_a_plain_form() -> None:
    message = parsed(octets(Letter(new_key(), JANE, text="bold", html="<b>bold</b><img src=x>"), 0.0))
    assert message.get_content_type() == "multipart/alternative"
    plain, page = message.iter_parts()
    assert plain.get_content_type() == "text/plain" and plain.get_param("format") == "flowed"
    assert "<b>bold</b>" in page.get_content() and "img" not in page.get_content()


def test_long_threads_keep_the_first_and_the_newest_ids() -> None:
    references = " ".join(f"<{number}@x.example>" for number in range(100))
    found = parsed(octets(Letter(new_key(), JANE, references=references), 0.0))["References"].split()
    assert len(found) == MAX_REFERENCES and found[0] == "<0@x.example>" and found[-1] == "<99@x.example>"


def test_places_come_back_as_they_were() -> None:
    for place in (Place("INBOX", 1, 2), Place("a.b 文/3.4", 99, 7, "2.1.3")):
        assert Place.of(str(place)) == place
    for text in ("", "1.2.3", "1.2.0.", "x.2.0.INBOX", "1.2.0..x.INBOX"[:5], "1.2.01.INBOX", "1.2.../../etc"):
        assert Place.of(text) is None


def test_the_form_believes_nothing() -> None:
    from werkzeug.datastructures import MultiDict

    form = ComposeForm.sent(MultiDict([("key", "../x"), ("offset", "99999999999"), ("draft", "x"), ("part", "nothing"), ("text", "a\0b\x1b\r\nc"), ("subject", "a\r\nb")]))  # fmt: skip
    assert form.key != "../x" and form.offset == 0 and form.draft is None and form.places == []
    assert form.text == "ab\nc" and form.subject == "a b"


def test_a_moment_is_of_the_readers_clock() -> None:
    form = ComposeForm(new_key(), later="2030-01-31T09:00", offset=60)
    assert form.moment() == 1896076800.0  # 08:00 UTC
    with pytest.raises(ValueError, match="Invalid"):
        ComposeForm(new_key(), later="tomorrow").moment()


def test_a_letter_is_sent_once() -> None:
    once = Once()
    assert once.begin("jane", "k") == ""
    with pytest.raises(Exception, match="being sent"):
        once.begin("jane", "k")
    assert once.begin("emma", "k") == ""
    once.end("jane", "k", "/there")
    assert once.begin("jane", "k") == "/there"
    once.forget("jane", "k")
    assert once.begin("jane", "k") == ""


def test_a_structure_of_any_depth_is_walked() -> None:
    leaf = (b"TEXT", b"PLAIN", (b"NAME*0*", b"utf-8''%E6", b"NAME*1*", b"%96%87.txt"), None, None, b"7BIT", 5, 1)
    (part,) = structure(leaf)
    assert (part.section, part.name, part.is_attachment) == ("1", "文.txt", True)
    deep: object = leaf
    for _ in range(100):
        deep = ([deep], b"MIXED")
    assert list(structure(deep)) == []
    assert [part.section for part in structure(([leaf, ([leaf, leaf], b"MIXED")], b"MIXED"))] == ["1", "2.1", "2.2"]
