"""The PROXY protocol, versions 1 and 2 (HAProxy's proxy-protocol.txt): the client's address from a trusted proxy."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
MAX_V1 = 107  # section 2.1, with CRLF
MAX_V2 = 4096  # octets behind the fixed part; what a proxy says of TLS may be long
_FIXED = 16
_LOCAL, _PROXY = 0x20, 0x21
_TCP4, _TCP6 = 0x11, 0x21


class Malformed(Exception):
    """What came is not a PROXY header; the connection is closed."""


@dataclass(frozen=True, slots=True)
class Header:
    """`address` is "" when the proxy speaks for itself (a health check). `size` octets were the header."""

    address: str
    port: int
    size: int


def parse(data: bytes | bytearray) -> Header | None:
    """The header at the beginning of `data`, None when more octets are needed. Raises Malformed."""
    start = bytes(data[: len(SIGNATURE)])
    if start == SIGNATURE:
        return _parse_2(data)
    if SIGNATURE.startswith(start) or b"PROXY ".startswith(start):
        return None
    if not start.startswith(b"PROXY "):
        raise Malformed("no PROXY header")
    end = data.find(b"\r\n", 0, MAX_V1)
    if end < 0:
        if len(data) >= MAX_V1:
            raise Malformed("PROXY line too long")
        return None
    return _parse_1(bytes(data[:end]), end + 2)


def _parse_1(line: bytes, size: int) -> Header:
    words = line.split(b" ")
    if words[1:2] == [b"UNKNOWN"]:
        return Header("", 0, size)
    versions = {b"TCP4": 4, b"TCP6": 6}
    if len(words) != 6 or words[1] not in versions:
        raise Malformed("PROXY line")
    try:
        source, target = (ipaddress.ip_address(word.decode("ascii")) for word in words[2:4])
        ports = [_port(word) for word in words[4:6]]
    except ValueError as error:
        raise Malformed(str(error)) from None
    if {source.version, target.version} != {versions[words[1]]}:
        raise Malformed("PROXY line: address of the wrong kind")
    return Header(str(source), ports[0], size)


def _port(word: bytes) -> int:
    if not (word.isdigit() and len(word) <= 5 and int(word) <= 65535):
        raise ValueError("not a port")
    return int(word)


def _parse_2(data: bytes | bytearray) -> Header | None:
    if len(data) < _FIXED:
        return None
    command, family, length = data[12], data[13], int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXY) or length > MAX_V2:
        raise Malformed("PROXY header of version 2")
    size = _FIXED + length
    if len(data) < size:
        return None
    if command == _LOCAL or family not in (_TCP4, _TCP6):
        return Header("", 0, size)
    width = 4 if family == _TCP4 else 16
    if length < 2 * width + 4:
        raise Malformed("PROXY header of version 2 is too short for its addresses")
    source = ipaddress.ip_address(bytes(data[_FIXED : _FIXED + width]))
    return Header(str(source), int.from_bytes(data[_FIXED + 2 * width : _FIXED + 2 * width + 2], "big"), size)
