"""DKIM signatures of a message verified (RFC 6376 6.1): keys from the DNS, the body hashed in pieces, bounded.

The results are those of RFC 8601 2.7.1. Trouble with the DNS is `temperror`, never a word against the message. A key of
RSA under 1024 bits proves nothing (RFC 8301 3.2), nor does a signature that covers a part of the body only (`l=`).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from directory.model import Deferred
from gateway.deliver.resolve import Resolve
from gateway.filters.port import Away
from gateway.mail.dkim import BodyHash, Form
from gateway.mail.dkim_signature import (
    NAME,
    Key,
    Outcome,
    Signature,
    Unacceptable,
    read_key,
    read_signature,
    signed_octets,
)
from gateway.mail.header import Header

MIN_RSA_BITS = 1024  # RFC 8301 3.2
MAX_RSA_BITS = 8192  # RFC 8301 asks for 4096; larger ones cost the verifier more than the signer
SHOWN = 8  # octets of `b=` that tell signatures apart (RFC 6008)


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of one signature; `signature` is None where its field could not be read."""

    outcome: Outcome
    reason: str = ""
    signature: Signature | None = None
    #: the key's owner only tries: proves nothing to anybody but him
    is_on_trial: bool = False

    @property
    def signer(self) -> str:
        """The domain that has proven that it signed, "" = none has."""
        return self.signature.domain if self.outcome == "pass" and self.signature and not self.is_on_trial else ""

    @property
    def mark(self) -> str:
        """The beginning of `b=` as the field has it."""
        return base64.b64encode(self.signature.octets).decode()[:SHOWN] if self.signature is not None else ""


async def verify(
    header: Header,
    body: Callable[[], Iterable[bytes]],
    resolve: Resolve,
    *,
    most: int,
    now: float,
    seconds: float,
    away: Away | None = None,
) -> list[Verified]:
    """The first `most` signatures of a message, from the top; [] = it has none.

    `body` gives the octets behind the header's empty line, with LF line ends; it is read once, by `away` on a thread
    where one is given. Keys are asked for at most `seconds`. Raises OSError when the body cannot be read, and what
    `away` raises.
    """
    found: list[tuple[Verified, Key | None]] = []
    fields = header.all(NAME)[:most]
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    for field in fields:
        try:
            signature = read_signature(header, field, now)
        except Unacceptable as problem:
            found.append((Verified(problem.outcome, str(problem)), None))
            continue
        found.append(await _with_key(signature, resolve, until))
    if not any(key is not None for _, key in found):
        return [verified for verified, _ in found]

    def work() -> list[Verified]:
        return _verified(found, header, body)

    return await away(work) if away is not None else work()


async def _with_key(signature: Signature, resolve: Resolve, until: float) -> tuple[Verified, Key | None]:
    try:
        async with asyncio.timeout_at(until):
            records = await resolve.ask(signature.query, "TXT")
        key = read_key(records.values)
        if not signature.algorithm.startswith(key.kind):
            raise Unacceptable("permerror", "the key is not of the kind that a= says")
        if signature.is_of_subdomain and key.is_strict:
            raise Unacceptable("permerror", "the key is not for domains below d=")
        _checked(key)
    except (Deferred, TimeoutError):
        return Verified("temperror", "the key cannot be looked up now", signature), None
    except Unacceptable as problem:
        return Verified(problem.outcome, str(problem), signature), None
    return Verified("neutral", "", signature, key.is_on_trial), key


def _verified(
    found: list[tuple[Verified, Key | None]], header: Header, body: Callable[[], Iterable[bytes]]
) -> list[Verified]:
    sums: dict[Form, BodyHash] = {
        verified.signature.body_form: BodyHash(verified.signature.body_form)
        for verified, key in found
        if verified.signature is not None and key is not None
    }
    for piece in body():
        for one in sums.values():
            one.update(piece)
    digests = {form: one.digest() for form, one in sums.items()}
    results = []
    for verified, key in found:
        signature = verified.signature
        if signature is None or key is None:
            results.append(verified)
            continue
        size = sums[signature.body_form].size
        try:
            if signature.length is not None and signature.length < size:
                raise Unacceptable("policy", "only a part of the body is signed")
            if digests[signature.body_form] != signature.body_digest or signature.length not in (None, size):
                raise Unacceptable("fail", "the body has changed")
            if not _is_signed(_checked(key), signature, signed_octets(signature, header)):
                raise Unacceptable("fail", "the header has changed")
            reason = "the key is on trial" if key.is_on_trial else ""
            results.append(Verified("pass", reason, signature, key.is_on_trial))
        except Unacceptable as problem:
            results.append(Verified(problem.outcome, str(problem), signature, key.is_on_trial))
    return results


PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey


@lru_cache(maxsize=512)
def _loaded(key: Key) -> PublicKey | None:
    try:
        if key.kind == "ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(key.octets)
        public = serialization.load_der_public_key(key.octets)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return public if isinstance(public, rsa.RSAPublicKey) else None


def _checked(key: Key) -> PublicKey:
    """Raises Unacceptable."""
    public = _loaded(key)
    if public is None:
        raise Unacceptable("permerror", "the key cannot be read")
    if isinstance(public, rsa.RSAPublicKey) and not MIN_RSA_BITS <= public.key_size <= MAX_RSA_BITS:
        raise Unacceptable("policy", f"a key of {public.key_size} bits")
    return public


def _is_signed(public: PublicKey, signature: Signature, octets: bytes) -> bool:
    try:
        if isinstance(public, rsa.RSAPublicKey):
            public.verify(signature.octets, octets, padding.PKCS1v15(), hashes.SHA256())
        else:
            public.verify(signature.octets, hashlib.sha256(octets).digest())
    except InvalidSignature:
        return False
    return True
