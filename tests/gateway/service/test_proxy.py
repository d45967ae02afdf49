"""The PROXY header: both versions, however the octets are split; what is malformed is refused."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.service.proxy import MAX_V1, SIGNATURE, Header, Malformed, parse


def version_2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + bytes((command, family)) + len(body).to_bytes(2, "big") + body


V4 = ipaddress.ip_address("192.0.2.7").packed + ipaddress.ip_address("198.51.100.1").packed + b"\x30\x39\x00\x19"
V6 = ipaddress.ip_address("2001:db8::7").packed + ipaddress.ip_address("2001:db8::1").packed + b"\x30\x39\x00\x19"
GOOD = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 25\r\n", "192.0.2.7", 12345),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 12345 25\r\n", "2001:db8::7", 12345),
    (b"PROXY UNKNOWN\r\n", "", 0),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", "", 0),
    (version_2(0x21, 0x11, V4), "192.0.2.7", 12345),
    (version_2(0x21, 0x21, V6 + b"\x04\x00\x03abc"), "2001:db8::7", 12345),
    (version_2(0x20, 0x00, b""), "", 0),
    (version_2(0x21, 0x31, b"\0" * 216), "", 0),
]


@pytest.mark.parametrize(("octets", "address", "port"), GOOD)
def test_well_formed_in_any_pieces(octets: bytes, address: str, port: int) -> None:
    for end in range(len(octets)):
        assert parse(octets[:end]) is None
    assert parse(octets) == Header(address, port, len(octets))
    assert parse(octets + b"EHLO x\r\n") == Header(address, port, len(octets))


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO x\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PROXX",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 12345\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 12345 25 26\r\n",
        b"PROXY TCP4 192.0.2.07 198.51.100.1 12345 25\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 12345 25\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 12345 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n",
        b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 25\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 1 25\r\n",
        b"PROXY TCP4 \xff 198.51.100.1 1 25\r\n",
        b"PROXY  TCP4 192.0.2.7 198.51.100.1 1 25\r\n",
        b"PROXY TCP4 " + b"1" * MAX_V1,
        version_2(0x21, 0x11, V4[:-1]),
        version_2(0x22, 0x11, V4),
        version_2(0x11, 0x11, V4),
        version_2(0x21, 0x11, b"\0" * 5000),
    ],
)
def test_malformed(octets: bytes) -> None:
    with pytest.raises(Malformed):
        parse(octets)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([b"", SIGNATURE, b"PROXY ", *(each[0] for each in GOOD)]), st.binary(max_size=300))
def test_anything_ends_in_an_answer_and_keeps_little(start: bytes, rest: bytes) -> None:
    try:
        found = parse(start + rest)
    except Malformed:
        return
    if found is None:
        assert len(start + rest) < 16 + 4096
    else:
        assert 0 < found.size <= len(start + rest)
