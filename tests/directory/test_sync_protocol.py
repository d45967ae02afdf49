"""The controls of RFC 4533: what slapd sent, and that octets from a server raise SyncFormat and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.tracker import sync_protocol as protocol
from directory.tracker.sync_protocol import SyncFormat

UUID = bytes(range(16))
TEXT = "00010203-0405-0607-0809-0a0b0c0d0e0f"


def test_what_servers_send_is_read() -> None:
    state = b"\x30\x18\x0a\x01\x01\x04\x10" + UUID + b"\x04\x01c"
    assert protocol.entry_state(state) == (protocol.ADD, TEXT, b"c")
    assert protocol.done_cookie(b"\x30\x03\x04\x01c") == b"c" and protocol.done_cookie(b"\x30\x00") is None
    (present,) = protocol.sync_info(b"\xa2\x03\x04\x01c")
    assert present.done and present.present_phase and present.cookie == b"c"
    (deletes,) = protocol.sync_info(b"\xa3\x17\x01\x01\xff\x31\x12\x04\x10" + UUID)
    assert deletes.ids == (TEXT,) and deletes.ids_deleted and not deletes.done
    assert protocol.sync_info(b"\x80\x01c")[0].cookie == b"c"


def test_change_numbers_by_server() -> None:
    told = protocol.told(b"rid=000,csn=2026#000000#000#000000;2027#000000#001#000000")
    assert told == {b"000": b"2026#000000#000#000000", b"001": b"2027#000000#001#000000"}
    assert protocol.told(None) == protocol.told(b"rid=1") == {}


def test_a_long_cookie_is_written_in_long_form() -> None:
    _, critical, value = protocol.sync_request(protocol.REFRESH_AND_PERSIST, b"c" * 300)
    (outer,) = protocol.elements(value)
    assert critical and protocol.elements(outer[1])[1] == (0x04, b"c" * 300)


@pytest.mark.parametrize(
    "octets", [b"\x30", b"\x30\x05\x0a", b"\x30\x80", b"\x30\x85\x01\x01\x01\x01\x01", b"\x30\x03\x0a\x01\x01"]
)
def test_broken_octets(octets: bytes) -> None:
    with pytest.raises(SyncFormat):
        protocol.entry_state(octets)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_octets(octets: bytes) -> None:
    for read in (protocol.entry_state, protocol.done_cookie, protocol.sync_info, protocol.elements):
        try:
            read(octets)
        except SyncFormat:
            pass
    protocol.told(octets)
