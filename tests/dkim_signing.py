"""Mail signed with a key of the test's own, and the record that its domain publishes."""

from __future__ import annotations

from pathlib import Path

from gateway.mail.dkim import Algorithm, BodyHash, signature
from gateway.mail.header import scan
from gateway.service.signing import key_path, load_key, make_key


def signed(
    text: bytes,
    folder: Path,
    domain: str,
    *,
    selector: str = "k",
    algorithm: Algorithm = "ed25519-sha256",
    now: float = 1000.0,
) -> tuple[bytes, str, str]:
    """(`text` with a signature of `domain` on top, the name of the key's record, the record); keys are in `folder`."""
    path = key_path(folder, domain, selector)
    make_key(path, algorithm)
    signer, record = load_key(path, domain, selector)
    header, digest = scan(text), BodyHash()
    digest.update(text[header.end + 1 :])
    return signature(signer, (header,), digest.digest(), now) + text, f"{selector}._domainkey.{domain}", record
