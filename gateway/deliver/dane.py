"""Whether the certificates that a mail host shows match its TLSA records (RFC 6698, RFC 7672 3).

Usage 3 names the host's own certificate or key: neither its dates nor its names count. Usage 2 names an authority:
the chain up to it is verified, with dates and the host's name. Usages 0 and 1 mean nothing for SMTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from gateway.deliver.resolve import Tlsa

AUTHORITY, OWN = 2, 3
MAX_RECORDS = 20
MAX_CHAIN = 10
_SIZES = {1: 32, 2: 64}


def usable(records: Sequence[Tlsa]) -> tuple[Tlsa, ...]:
    """Records that can be matched, at most 20. None of them: TLS is due, but cannot be verified (RFC 7672 2.2)."""
    found = [
        record
        for record in records
        if record.usage in (AUTHORITY, OWN)
        and record.selector in (0, 1)
        and (record.matching == 0 or len(record.data) == _SIZES.get(record.matching))
    ]
    return tuple(found[:MAX_RECORDS])


def matches(records: Sequence[Tlsa], chain: Sequence[bytes], name: str) -> bool:
    """True when the chain (DER, the host's own certificate first) fits one of the usable records for host `name`."""
    if not chain:
        return False
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain[:MAX_CHAIN]]
    except ValueError:
        return False
    for record in records:
        if record.usage == OWN and _is(record, certificates[0]):
            return True
        if record.usage == AUTHORITY and _leads_to(record, certificates, name):
            return True
    return False


def _is(record: Tlsa, certificate: x509.Certificate) -> bool:
    if record.selector == 0:
        data = certificate.public_bytes(Encoding.DER)
    else:
        data = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if record.matching == 0:
        return data == record.data
    return hashlib.new("sha256" if record.matching == 1 else "sha512", data).digest() == record.data


def _leads_to(record: Tlsa, certificates: list[x509.Certificate], name: str) -> bool:
    anchors = [each for each in certificates[1:] if _is(record, each)]
    if not anchors and (record.selector, record.matching) == (0, 0):
        try:
            anchors = [x509.load_der_x509_certificate(record.data)]
        except ValueError:
            return False
    for anchor in anchors:
        try:
            verifier = PolicyBuilder().store(Store([anchor])).build_server_verifier(x509.DNSName(name))
            verifier.verify(certificates[0], [each for each in certificates[1:] if each != anchor])
        except (VerificationError, ValueError):
            continue
        return True
    return False
