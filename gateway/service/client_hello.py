"""The ALPN names in a TLS ClientHello (RFC 8446 4.1.2, RFC 7301 3.1), read before the handshake.

OpenSSL's server goes on without a protocol when none of the client's names is ours; a client that asks for
another protocol than the one behind the port is led astray (ALPACA) and must be refused.
"""

from __future__ import annotations

MAX_HELLO = 64 * 1024
_HANDSHAKE, _CLIENT_HELLO, _ALPN = 0x16, 1, 16
_MAX_RECORD = 16384
#: fatal no_application_protocol (RFC 7301 3.2)
NO_APPLICATION_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"


def offered(data: bytes) -> tuple[bytes, ...] | None:
    """The names; () when there are none or this is no ClientHello (the handshake tells); None = more is needed."""
    body = bytearray()
    position = 0
    while True:
        head = data[position : position + 5]
        if head[:1] not in (b"", b"\x16"):
            return ()
        if len(head) < 5:
            return None
        length = int.from_bytes(head[3:], "big")
        if not 0 < length <= _MAX_RECORD or len(body) + length > MAX_HELLO:
            return ()
        body += data[position + 5 : position + 5 + length]
        position += 5 + length
        if len(body) >= 4:
            if body[0] != _CLIENT_HELLO:
                return ()
            end = 4 + int.from_bytes(body[1:4], "big")
            if end > MAX_HELLO:
                return ()
            if len(body) >= end:
                return _names(bytes(body[4:end]))
        if position > len(data):
            return None


def _names(hello: bytes) -> tuple[bytes, ...]:
    position = 2 + 32
    position += 1 + int.from_bytes(hello[position : position + 1], "big")  # session
    position += 2 + int.from_bytes(hello[position : position + 2], "big")  # cipher suites
    position += 1 + int.from_bytes(hello[position : position + 1], "big")  # compression
    end = position + 2 + int.from_bytes(hello[position : position + 2], "big")
    position += 2
    while position + 4 <= min(end, len(hello)):
        kind = int.from_bytes(hello[position : position + 2], "big")
        length = int.from_bytes(hello[position + 2 : position + 4], "big")
        position += 4
        if kind == _ALPN:
            return tuple(_list(hello[position : position + length][2:]))
        position += length
    return ()


def _list(names: bytes) -> list[bytes]:
    found = []
    while names:
        length = names[0]
        found.append(names[1 : 1 + length])
        names = names[1 + length :]
    return found
