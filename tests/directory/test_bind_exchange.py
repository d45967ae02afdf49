"""The hand-made bind is octet for octet what ldap3 sends; whatever a server answers is an answer or an OSError."""

from __future__ import annotations

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3 import SIMPLE
from ldap3.operation.bind import bind_operation
from ldap3.protocol.controls import build_control
from ldap3.protocol.convert import build_controls_list
from ldap3.protocol.rfc4511 import LDAPMessage, MessageID, ProtocolOp
from ldap3.utils.asn1 import encode

from directory.bind_exchange import BadAnswer, answer, exchange, missing, request

CONTROL = "1.3.6.1.4.1.42.2.27.8.5.1"
RIGHT = bytes.fromhex("300c02010161070a010004000400")


def as_ldap3(number: int, dn: str, password: bytes) -> bytes:
    message = LDAPMessage()
    message["messageID"] = MessageID(number)
    message["protocolOp"] = ProtocolOp().setComponentByName("bindRequest", bind_operation(3, SIMPLE, dn, password))
    message["controls"] = build_controls_list([(CONTROL, False, None)])
    return bytes(encode(message))


@given(
    st.integers(1, 0x3FFFFFFF),
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=200),
    st.binary(min_size=1, max_size=5000),
)
def test_the_request_is_what_ldap3_sends(number: int, dn: str, password: bytes) -> None:
    assert request(number, dn, password, CONTROL) == as_ldap3(number, dn, password)
    assert build_control(CONTROL, False, None) is not None


def test_answers() -> None:
    assert answer(RIGHT, 1) == {"result": 0, "description": "success", "message": "", "controls": {}}
    text = b"bad \xff"
    with_control = (
        bytes.fromhex("302b020105610b0a013104000404") + text[:4] + bytes.fromhex("a019") + bytes.fromhex("30170419")
    )
    with pytest.raises(BadAnswer):
        answer(with_control, 5)
    oid = CONTROL.encode()
    control = (
        b"\x30" + bytes((2 + len(oid) + 7,)) + b"\x04" + bytes((len(oid),)) + oid + b"\x04\x05\x30\x03\x81\x01\x01"
    )
    controls = b"\xa0" + bytes((len(control),)) + control
    body = b"\x02\x01\x05" + b"\x61\x0b\x0a\x01\x31\x04\x00\x04\x04bad!" + controls
    found = answer(b"\x30" + bytes((len(body),)) + body, 5)
    assert found["result"] == 49
    assert found["description"] == "invalidCredentials"
    assert found["message"] == "bad!"
    assert found["controls"][CONTROL]["value"] == b"\x30\x03\x81\x01\x01"
    with pytest.raises(BadAnswer, match="not about this bind"):
        answer(RIGHT, 2)


@given(st.binary(max_size=80))
def test_garbage_is_no_answer(data: bytes) -> None:
    try:
        if missing(data) == 0:
            answer(data, 1)
    except BadAnswer:
        pass


@given(st.integers(0, len(RIGHT) - 1), st.integers(0, 255))
def test_one_wrong_octet_never_makes_a_success_of_something_else(position: int, octet: int) -> None:
    data = bytearray(RIGHT)
    data[position] = octet
    try:
        found = answer(bytes(data), 1) if missing(bytes(data)) == 0 else None
    except BadAnswer:
        return
    if found is not None and found["result"] == 0:
        assert data[:2] == RIGHT[:2]
        assert data[2:8] == RIGHT[2:8]


def served(*pieces: bytes) -> socket.socket:
    """A connection on which the other end says these pieces and then closes."""
    ours, theirs = socket.socketpair()

    def speak() -> None:
        with theirs:
            theirs.recv(65_536)
            for piece in pieces:
                theirs.sendall(piece)

    threading.Thread(target=speak).start()
    return ours


def test_an_answer_in_pieces_none_and_a_silent_server() -> None:
    with served(*(RIGHT[i : i + 1] for i in range(len(RIGHT)))) as sock:
        assert exchange(sock, 1, "cn=x", b"secret", CONTROL, 5)["result"] == 0
    with served(RIGHT[:5]) as sock, pytest.raises(ConnectionResetError):
        exchange(sock, 1, "cn=x", b"secret", CONTROL, 5)
    with served(b"\x30\x84\x7f\xff\xff\xff") as sock, pytest.raises(BadAnswer, match="over the limit"):
        exchange(sock, 1, "cn=x", b"secret", CONTROL, 5)
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TimeoutError):
        exchange(ours, 1, "cn=x", b"secret", CONTROL, 0.1)
