"""What a scan found out about a message: the IMAP answers and where its parts are.

The encoded form is a cache beside the message: it carries PARSER_VERSION, and `decode` gives None for
any other version, so that a change of the scanner only has to raise the number.
"""

from __future__ import annotations

import msgspec

PARSER_VERSION = 3

#: kinds of part
LEAF, MULTIPART, MESSAGE = 0, 1, 2


class Part(msgspec.Struct, array_like=True, gc=False):
    """One entity: its header is [start, body), its body [body, end), offsets into the stored octets.

    A message/rfc822 part has one child: the message inside it. `subtype`, `encoding` and `charset` are
    lower case and empty where the header says nothing.
    """

    start: int
    body: int
    end: int
    kind: int = LEAF
    type: bytes = b"text"
    subtype: bytes = b"plain"
    encoding: bytes = b""
    charset: bytes = b""
    children: list[Part] = []


class Parsed(msgspec.Struct, array_like=True, gc=False):
    """`envelope`, `bodystructure` and `body` are ready octets for FETCH; `root` is the message itself.

    `references` is the References field, of a long one the end, where the parent stands.
    """

    version: int
    envelope: bytes
    bodystructure: bytes
    body: bytes
    root: Part
    references: bytes = b""

    def encode(self) -> bytes:
        """The octets to keep."""
        return _encoder.encode(self)

    @staticmethod
    def decode(blob: bytes) -> Parsed | None:
        """What `encode` made; None when another version made it or it is damaged."""
        try:
            parsed = _decoder.decode(blob)
        except (msgspec.DecodeError, RecursionError):
            return None
        return parsed if parsed.version == PARSER_VERSION else None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Parsed)
