"""DKIM signatures (RFC 6376, RFC 8463): what is signed and how the field is written. Pure; LF line ends.

Both canonicalizations are `relaxed`, the whole body is signed (no `l=`), and the fields that a reader believes are signed
once more than they are there, so that nobody can put another one beside them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from gateway.mail.header import Header

Algorithm = Literal["rsa-sha256", "ed25519-sha256"]
#: canonicalization of a header or a body
Form = Literal["simple", "relaxed"]

#: signed where they are, each as often as it is (RFC 6376 5.4.1)
SIGNED = (
    b"from", b"reply-to", b"subject", b"date", b"to", b"cc", b"message-id", b"in-reply-to", b"references",
    b"mime-version", b"content-type", b"content-transfer-encoding", b"resent-date", b"resent-from", b"resent-to",
    b"resent-cc", b"list-id", b"list-help", b"list-unsubscribe", b"list-unsubscribe-post", b"list-subscribe",
    b"list-post", b"list-owner", b"list-archive",
)  # fmt: skip
#: signed once more than they are there
OVERSIGNED = (b"from", b"reply-to", b"subject", b"date", b"to", b"cc", b"message-id", b"content-type", b"mime-version")
MAX_SIGNED = 100  # fields; a header with more of these is no letter
_SPACE = re.compile(rb"[ \t]+")


class BodyHash:
    """SHA-256 over a body in one form (RFC 6376 3.4.3, 3.4.4), fed in pieces however they are cut."""

    def __init__(self, form: Form = "relaxed") -> None:
        self._hash = hashlib.sha256()
        self._form = form
        #: octets that went into it
        self.size = 0
        self._held = b""  # an unfinished line
        self._empty = 0  # empty lines that count only when something follows

    def update(self, piece: bytes) -> None:
        """More of the body."""
        data = self._held + piece
        end = data.rfind(b"\n") + 1
        self._held = data[end:]
        if end:
            self._lines(data[:end])

    def _lines(self, data: bytes) -> None:
        """Whole lines."""
        if self._form == "relaxed":
            if b"  " in data or b"\t" in data:  # a look is 20 times cheaper than the expression
                data = _SPACE.sub(b" ", data)
            data = data.replace(b" \n", b"\n")
        kept = data.lstrip(b"\n")
        self._empty += len(data) - len(kept)
        if not kept:
            return
        behind = kept.rstrip(b"\n")
        self._add(b"\r\n" * self._empty + behind.replace(b"\n", b"\r\n") + b"\r\n")
        self._empty = len(kept) - len(behind) - 1

    def _add(self, octets: bytes) -> None:
        self.size += len(octets)
        self._hash.update(octets)

    def digest(self) -> bytes:
        """When all of it was fed."""
        if self._held:
            self._lines(self._held + b"\n")
            self._held = b""
        if self._form == "simple" and not self.size:  # an empty body is one empty line there
            self._add(b"\r\n")
        return self._hash.digest()


def relaxed_field(name: bytes, value: bytes) -> bytes:
    """One field in `relaxed` form with its line end (RFC 6376 3.4.2); `value` may be folded."""
    return name.lower() + b":" + _SPACE.sub(b" ", value.replace(b"\n", b"")).strip(b" \t") + b"\r\n"


@dataclass(frozen=True, slots=True)
class Signer:
    """One key. `sign` takes the octets (RSA: PKCS #1 v1.5 with SHA-256; Ed25519: their SHA-256 digest is signed)."""

    domain: str
    selector: str
    algorithm: Algorithm
    sign: Callable[[bytes], bytes]


def signed_fields(headers: Iterable[Header]) -> tuple[list[bytes], bytes]:
    """(names for `h=`, their fields in `relaxed` form and order): from the last of each name up (RFC 6376 5.4.2).

    `headers` stand in front of each other: those that this host adds, then the message's own.
    """
    found: dict[bytes, list[bytes]] = {}
    for header in headers:
        for field in header.fields:
            if field.name in _WANTED:
                found.setdefault(field.name, []).append(
                    relaxed_field(field.name, header.content[field.value : field.end])
                )
    names: list[bytes] = []
    octets: list[bytes] = []
    for name in SIGNED:
        for one in reversed(found.get(name, [])[-MAX_SIGNED:]):
            names.append(name)
            octets.append(one)
    names += OVERSIGNED
    return names, b"".join(octets)


_WANTED = frozenset(SIGNED)


def _folded(text: str, width: int = 72) -> str:
    return "\n\t ".join(text[start : start + width] for start in range(0, len(text), width))


def signature(signer: Signer, headers: Iterable[Header], body_digest: bytes, now: float) -> bytes:
    """The complete DKIM-Signature field."""
    names, octets = signed_fields(headers)
    listed = ":\n\t ".join(
        ":".join(name.decode() for name in names[start : start + 6]) for start in range(0, len(names), 6)
    )
    unsigned = (
        f"v=1; a={signer.algorithm}; c=relaxed/relaxed; d={signer.domain};\n\ts={signer.selector}; t={int(now)};\n"
        f"\tbh={base64.b64encode(body_digest).decode()};\n\th={listed};\n\tb="
    ).encode("ascii")
    signed = octets + relaxed_field(b"dkim-signature", b" " + unsigned).removesuffix(b"\r\n")
    made = signer.sign(signed)
    return b"DKIM-Signature: " + unsigned + _folded(base64.b64encode(made).decode()).encode() + b"\n"


def record(algorithm: Algorithm, public: bytes) -> str:
    """The value of the TXT record (RFC 6376 3.6.1). `public` is SubjectPublicKeyInfo, or the 32 octets of Ed25519."""
    kind = "rsa" if algorithm == "rsa-sha256" else "ed25519"
    return f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}"
