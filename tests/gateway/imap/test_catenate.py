"""Messages put together from texts and parts of others (CATENATE, RFC 4469), and the URLs that name them (RFC 5092)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from two_sessions import Client, World

from gateway.imap.settings import ImapSettings
from gateway.imap.urls import BadUrl, read_url
from gateway.mime import Section, What

pytest_plugins = ["session_fixtures"]

MULTIPART = (
    b"Subject: all\nContent-Type: multipart/mixed; boundary=b\n\n"
    b"--b\nContent-Type: text/plain\n\nfirst\npart\n--b\nContent-Type: text/html\n\n<p>second\n--b--\n"
)


def body(client: Client, number: int) -> str:
    said = client.say(f"FETCH {number} BODY.PEEK[]")
    return said.partition("}\r\n")[2].rpartition(")\r\nT OK")[0]


PUT_TOGETHER = (
    ('URL "/INBOX/;UID=1"', "Subject: x\r\n\r\nbody\r\n"),
    ("TEXT {8+}\r\nA: b\r\n\r\n URL /INBOX/;UID=1/;SECTION=TEXT", "A: b\r\n\r\nbody\r\n"),
    ("URL /INBOX/;UID=1/;SECTION=HEADER TEXT {4+}\r\nmore", "Subject: x\r\n\r\nmore"),
    ("URL /INBOX/;UID=2/;SECTION=1", "first\r\npart"),
    ("URL /INBOX/;UID=2/;SECTION=2.MIME URL /INBOX/;UID=2/;SECTION=2", "Content-Type: text/html\r\n\r\n<p>second"),
    ("URL /INBOX/;UID=2/;SECTION=1/;PARTIAL=7.3", "par"),
    ("URL /INBOX/;UID=2/;SECTION=1/;PARTIAL=7", "part"),
    ('URL "INBOX/;uid=2/;section=HEADER.FIELDS%20(Subject)"', "Subject: all\r\n\r\n"),
    ("URL {13+}\r\n/inbox/;UID=1 TEXT {1+}\r\na", "Subject: x\r\n\r\nbody\r\na"),
)


def test_what_is_put_together(world: World) -> None:
    worker = world.worker()
    worker.deliver()
    worker.deliver(MULTIPART)
    one, two = worker.session("SELECT INBOX"), worker.session("SELECT INBOX")
    for number, (parts, made) in enumerate(PUT_TOGETHER, 3):
        said = one.send(f"T APPEND INBOX (\\Seen) CATENATE ({parts})\r\n".encode())
        assert "APPENDUID" in said, parts
        two.say("NOOP")
        assert body(two, number) == made
        assert "FLAGS (\\Seen)" in two.say(f"FETCH {number} FLAGS")


def test_several_messages_and_other_mailboxes(pair: tuple[Client, Client]) -> None:
    one, two = pair
    one.say("CREATE W&APY-rk")
    one.say("UID COPY 1 W&APY-rk")
    validity = two.say("STATUS W&APY-rk (UIDVALIDITY)").split("UIDVALIDITY ")[1].split(")")[0]
    url = f'"/W%C3%B6rk;UIDVALIDITY={validity}/;UID=1/;SECTION=TEXT"'
    said = one.send(f"T APPEND INBOX CATENATE (URL {url} URL {url}) () {{3+}}\r\nabc\r\n".encode())
    assert "* 5 EXISTS" in said
    two.say("NOOP")
    assert body(two, 4) == "body\r\nbody\r\n"
    assert body(two, 5) == "abc"


REFUSED = (
    ("URL /INBOX/;UID=9", "T NO [BADURL /INBOX/;UID=9] "),
    ("URL /INBOX;UIDVALIDITY=1/;UID=1", "T NO [BADURL "),
    ("URL /Nowhere/;UID=1", "T NO [BADURL "),
    ("URL imap://mail.example/INBOX/;UID=1", "T NO [BADURL "),
    ("URL /Shared/x@example.com/;UID=1", "T NO [BADURL "),
    ("URL /INBOX/;UID=1/;SECTION=7", "T NO [BADURL "),
    ("URL /INBOX/;UID=1/;SECTION=x", "T NO [BADURL "),
    ('URL "/INBOX]/;UID=1"', "T NO [BADURL /INBOX?/;UID=1] "),
    ("TEXT {3+}\r\na\0b TEXT {1+}\r\nx", "T BAD NUL"),
    ("TEXT {0+}\r\n", "T NO [CANNOT] "),
    ("TEXT {1+}\r\na FILE x", "T BAD URL or TEXT"),
    ("TEXT {1+}\r\naTEXT {1+}\r\na", "T BAD "),
    ("URL {9000+}\r\n" + "x" * 9000, "T BAD the URL is too long"),
    ("TEXT x", "T BAD literal expected"),
    ("URL", "T BAD URL or TEXT"),
)


def test_refusals(world: World) -> None:
    worker = world.worker()
    worker.deliver()
    client = worker.session("SELECT INBOX")
    for parts, answered in REFUSED:
        said = client.send(f"T APPEND INBOX CATENATE ({parts})\r\n".encode())
        assert said.startswith(answered), (parts, said)
        assert said.count("\r\n") == 1
    assert client.say("NOOP") == "T OK NOOP completed\r\n"
    assert "* 1 EXISTS" in worker.session().say("SELECT INBOX")


def test_a_large_message_is_spooled_and_limited(world: World) -> None:
    world.imap = ImapSettings(max_append=1_500_000)
    worker = world.worker()
    client = worker.session("SELECT INBOX")
    worker.deliver(b"Subject: x\n\n" + b"0123456789\n" * 60_000)
    url = "URL /INBOX/;UID=1/;SECTION=TEXT"
    assert "APPENDUID" in client.send(f"T APPEND INBOX CATENATE (TEXT {{5+}}\r\nA: b\n {url})\r\n".encode())
    assert "RFC822.SIZE 720006)" in client.say("FETCH 2 RFC822.SIZE")
    assert client.send(f"T APPEND INBOX CATENATE ({url} {url} {url})\r\n".encode()).startswith("T NO [TOOBIG]")


@given(st.binary(max_size=60))
def test_any_octets_are_a_url_or_not(octets: bytes) -> None:
    for url in (octets, b"/INBOX/;UID=1" + octets, b"/INBOX/;UID=1/;SECTION=" + octets):
        try:
            assert read_url(url).uid
        except BadUrl:
            continue


def test_urls() -> None:
    url = read_url(b"/a%20b/c;uidvalidity=7/;uid=3/;section=1.HEADER.FIELDS%20(To%20CC)/;partial=1.9")
    assert (url.mailbox, url.uidvalidity, url.uid, url.span) == ("a b/c", 7, 3, (1, 9))
    assert url.section == Section((1,), What.FIELDS, frozenset((b"to", b"cc")))
    for wrong in (b"", b"/;UID=1", b"/a/;UID=0", b"/a/;UID=1/;PARTIAL=1.0", b"/a/;UID=99999999999", b"//host/a/;UID=1"):
        with pytest.raises(BadUrl):
            read_url(wrong)
