"""The profile that macOS and iOS install (Apple's Configuration Profile Reference, com.apple.mail.managed)."""

from __future__ import annotations

import plistlib
import uuid
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7

from webadmin.setup.services import Service, best

Sign = Callable[[bytes], bytes]
#: so that a profile that is loaded again takes the place of the one before
SPACE = uuid.UUID("bfcc90f4-5f1e-4a6a-9d4e-0d6bf2f0c3a1")


def document(address: str, name: str, table: tuple[Service, ...]) -> bytes | None:
    """The profile of a person's account; None where there is nothing to read or send mail by."""
    incoming = best(table, "imap") or best(table, "pop3")
    outgoing = best(table, "smtp")
    if incoming is None or outgoing is None:
        return None
    account = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"gatepost.{address}.mail",
        "PayloadUUID": str(uuid.uuid5(SPACE, f"mail {address}")),
        "PayloadDisplayName": address,
        "EmailAccountDescription": address,
        "EmailAccountName": name or address,
        "EmailAccountType": "EmailTypeIMAP" if incoming.protocol == "imap" else "EmailTypePOP",
        "EmailAddress": address,
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": incoming.host,
        "IncomingMailServerPortNumber": incoming.port,
        "IncomingMailServerUseSSL": incoming.tls != "none",
        "IncomingMailServerUsername": address,
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": outgoing.host,
        "OutgoingMailServerPortNumber": outgoing.port,
        "OutgoingMailServerUseSSL": outgoing.tls != "none",
        "OutgoingMailServerUsername": address,
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    return plistlib.dumps({
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"gatepost.{address}",
        "PayloadUUID": str(uuid.uuid5(SPACE, f"profile {address}")),
        "PayloadDisplayName": address,
        "PayloadContent": [account],
    })  # fmt: skip


def signer(cert: str, key: str) -> Sign | None:
    """Signs profiles with the host's certificate (CMS); None where this process may not read its key."""
    try:
        chain = x509.load_pem_x509_certificates(Path(cert).read_bytes())
        private = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    except (OSError, ValueError):
        return None
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) or not chain:
        return None

    def sign(octets: bytes) -> bytes:
        builder = pkcs7.PKCS7SignatureBuilder().set_data(octets).add_signer(chain[0], private, hashes.SHA256())
        for one in chain[1:]:
            builder = builder.add_certificate(one)
        return builder.sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])

    return sign
