"""Whether the certificates that a mail host shows match its TLSA records (RFC 6698, RFC 7672 3).

Usage 3 names the host's own certificate or key: neither its dates nor its names count. Usage 2 names an authority:
the chain up to it is verified, with dates and the host's name. Usages 0 and 1 mean nothing for SMTP.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

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
    now = datetime.now(UTC)
    return is_for(certificates[0], name) and any(
        _is_chain(certificates[0], certificates[1:], anchor, now) for anchor in anchors
    )


def _is_chain(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], anchor: x509.Certificate, now: datetime
) -> bool:
    """True when signatures lead from the leaf over authorities that are valid now to the anchor.

    Written out because the library's own verifier demands the rules of public web certificates, which mail hosts
    with an authority of their own rarely follow.
    """
    current = leaf
    for below in range(MAX_CHAIN):
        if not current.not_valid_before_utc <= now <= current.not_valid_after_utc:
            return False
        if current == anchor:
            return True
        issuer = next((each for each in (anchor, *others) if _has_issued(each, current, below)), None)
        if issuer is None:
            return False
        current = issuer
    return False


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate, below: int) -> bool:
    """`below`: how many authorities stand between the issuer and the host's certificate."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not constraints.ca or (constraints.path_length is not None and below > constraints.path_length):
            return False
        try:
            if not issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign:
                return False
        except x509.ExtensionNotFound:
            pass
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_for(certificate: x509.Certificate, name: str) -> bool:
    """True when the certificate names the host; `*.` stands for one label (RFC 6125 6.4)."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    names = {each.lower() for each in found.get_values_for_type(x509.DNSName)}
    return name in names or f"*.{name.partition('.')[2]}" in names
