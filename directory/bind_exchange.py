"""One simple bind on an open connection: the request's octets and the answer's meaning (RFC 4511 4.2, 5.1).

ldap3 opens, secures and closes the connection; the exchange is done here (docs/decisions/bind-exchange.md): it
takes a fraction of ldap3's time, and the password goes out as it was typed. The answer has the shape of ldap3's
results: `result`, `description`, `message` and `controls` by OID.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from ldap3.core.results import RESULT_CODES

from directory.ber import tlv

MAX_ANSWER = 65_536  # octets of a bind's answer
_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04
_BIND_REQUEST, _SIMPLE, _BIND_RESPONSE, _CONTROLS = 0x60, 0x80, 0x61, 0xA0
_BOOLEAN, _ENUMERATED = 0x01, 0x0A
_VERSION_3 = bytes((_INTEGER, 1, 3))


class BadAnswer(OSError):
    """The server said something that is no answer to a bind: the connection is of no more use."""


def _number(value: int) -> bytes:
    return tlv(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def request(number: int, dn: str, password: bytes, control: str) -> bytes:
    """A bind of `dn`, asking for the control `control`, as message `number`."""
    bind = tlv(_BIND_REQUEST, _VERSION_3 + tlv(_OCTETS, dn.encode()) + tlv(_SIMPLE, password))
    controls = tlv(_CONTROLS, tlv(_SEQUENCE, tlv(_OCTETS, control.encode())))
    return tlv(_SEQUENCE, _number(number) + bind + controls)


def _read(data: bytes, position: int, end: int) -> tuple[int, int, int]:
    """(tag, start, end) of the element at `position`. Raises BadAnswer."""
    if position + 2 > end:
        raise BadAnswer("a cut element")
    tag, size = data[position], data[position + 1]
    position += 2
    if size & 0x80:
        octets = size & 0x7F
        if not 1 <= octets <= 4 or position + octets > end:
            raise BadAnswer("a length that cannot be")
        size = int.from_bytes(data[position : position + octets], "big")
        position += octets
    if position + size > end:
        raise BadAnswer("an element longer than what holds it")
    return tag, position, position + size


def missing(data: bytes) -> int:
    """How many octets the message lacks at least; 0 = it is complete. Raises BadAnswer."""
    if len(data) < 2:
        return 2 - len(data)
    if data[0] != _SEQUENCE:
        raise BadAnswer("not an LDAP message")
    octets = data[1] & 0x7F if data[1] & 0x80 else 0
    if data[1] & 0x80 and not 1 <= octets <= 4:
        raise BadAnswer("a length that cannot be")
    if len(data) < 2 + octets:
        return 2 + octets - len(data)
    size = int.from_bytes(data[2 : 2 + octets], "big") if octets else data[1]
    if size > MAX_ANSWER:
        raise BadAnswer("an answer over the limit")
    return max(0, 2 + octets + size - len(data))


def answer(data: bytes, number: int) -> dict[str, Any]:
    """What the complete message `data` says about message `number`. Raises BadAnswer."""
    tag, position, end = _read(data, 0, len(data))
    if tag != _SEQUENCE or end != len(data):
        raise BadAnswer("not one LDAP message")
    tag, start, stop = _read(data, position, end)
    if tag != _INTEGER or int.from_bytes(data[start:stop], "big") != number:
        raise BadAnswer("not about this bind; the server may be closing the connection")
    tag, start, position = _read(data, stop, end)
    if tag != _BIND_RESPONSE:
        raise BadAnswer("no answer to a bind")
    code_tag, code_start, code_stop = _read(data, start, position)
    dn_tag, _, dn_stop = _read(data, code_stop, position)
    text_tag, text_start, text_stop = _read(data, dn_stop, position)
    if (code_tag, dn_tag, text_tag) != (_ENUMERATED, _OCTETS, _OCTETS) or not 1 <= code_stop - code_start <= 4:
        raise BadAnswer("no result")
    code = int.from_bytes(data[code_start:code_stop], "big")
    return {
        "result": code,
        "description": RESULT_CODES.get(code, "unknown result"),
        "message": data[text_start:text_stop].decode("utf-8", "replace"),
        "controls": _controls(data, position, end),
    }


def _controls(data: bytes, position: int, end: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    if position == end:
        return found
    tag, position, stop = _read(data, position, end)
    if tag != _CONTROLS or stop != end:
        raise BadAnswer("something behind the result")
    while position < stop:
        tag, start, position = _read(data, position, stop)
        oid_tag, oid_start, oid_stop = _read(data, start, position)
        if tag != _SEQUENCE or oid_tag != _OCTETS:
            raise BadAnswer("no control")
        value, at = b"", oid_stop
        while at < position:
            tag, start, at = _read(data, at, position)
            if tag == _OCTETS:
                value = data[start:at]
            elif tag != _BOOLEAN:  # criticality
                raise BadAnswer("no control")
        found[data[oid_start:oid_stop].decode("ascii", "replace")] = {"value": value}
    return found


def exchange(
    sock: socket.socket, number: int, dn: str, password: bytes, control: str, seconds: float
) -> dict[str, Any]:
    """Bind and wait for the answer. Raises OSError, also when it does not come within `seconds`."""
    deadline = time.monotonic() + seconds
    sock.settimeout(seconds)
    sock.sendall(request(number, dn, password, control))
    data = b""
    while lacking := missing(data):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer to a bind")
        sock.settimeout(left)
        piece = sock.recv(max(lacking, 4096))
        if not piece:
            raise ConnectionResetError("the server closed the connection")
        data += piece
    return answer(data, number)
