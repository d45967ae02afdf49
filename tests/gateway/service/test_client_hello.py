"""The ALPN names of a ClientHello, from real clients, in any pieces; anything else is left to the handshake."""

from __future__ import annotations

import ssl

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.service.client_hello import MAX_HELLO, offered


def hello(*names: str) -> bytes:
    context = ssl.create_default_context()
    if names:
        context.set_alpn_protocols(list(names))
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="mail.example")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def test_names_in_any_pieces() -> None:
    for names in ((), ("imap",), ("http/1.1", "h2"), ("x" * 255, "smtp")):
        octets = hello(*names)
        for end in range(len(octets)):
            assert offered(octets[:end]) is None
        assert offered(octets) == tuple(name.encode() for name in names)
        assert offered(octets + b"more") == offered(octets)


def test_a_hello_over_several_records() -> None:
    body = hello("pop3")[5:]
    records = b"".join(b"\x16\x03\x01" + len(p).to_bytes(2, "big") + p for p in (body[:1], body[1:90], body[90:]))
    for end in range(len(records)):
        assert offered(records[:end]) is None
    assert offered(records) == (b"pop3",)


def test_something_else() -> None:
    assert offered(b"GET / HTTP/1.0\r\n") == ()
    assert offered(b"\x16\x03\x01\x00\x00") == ()
    assert offered(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00") == ()
    assert offered(b"\x16\x03\x01\x00\x04\x01\xff\xff\xff") == ()
    assert offered(b"") is None


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400), st.integers(0, 600), st.binary(min_size=1, max_size=4))
def test_damage_never_raises_and_never_waits_for_ever(noise: bytes, at: int, change: bytes) -> None:
    offered(noise)
    offered(b"\x16\x03\x01" + noise)
    octets = hello("imap", "x")
    damaged = octets[:at] + change + octets[at + len(change) :]
    offered(damaged)


def test_an_endless_hello_is_decided_at_the_limit() -> None:
    endless = b"\x16\x03\x01\x40\x00\x01\x00\xff\xf0" + bytes(16380) + (b"\x16\x03\x01\x40\x00" + bytes(16384)) * 5
    assert offered(endless[: MAX_HELLO + 40]) is not None
