"""DKIM keys of this host and the signatures that mail of ours gets on its way out (RFC 6376).

A key is the file `<state_dir>/dkim/<domain>/<selector>.pem` (PKCS #8, mode 0600). The selectors that the entry of a
domain names (`gatepostDkimSelector`) sign, each for itself; one without a key here is logged, and the mail leaves without.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from directory.model import Deferred, InvalidAddress, canonical_address
from directory.port import Directory
from gateway.files.durable import make_folders
from gateway.files.secret import make_once
from gateway.mail.address_list import AddressProblem, addresses
from gateway.mail.dkim import Algorithm, BodyHash, Signer, record, signature
from gateway.mail.header import HeaderProblem, head_and_body, scan_pieces
from gateway.observe.log import fields

FOLDER = "dkim"
RSA_BITS = 2048
MAX_SELECTORS = 4
IN_LOOP = 256 * 1024  # octets that are hashed without a thread
AGAIN_SECONDS = 60.0  # what is wrong with a key is said, and looked at, this often
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_log = logging.getLogger("gatepost.dkim")

Content = Callable[[], Iterator[bytes]]


def key_path(folder: Path, domain: str, selector: str) -> Path:
    """Where the key is. Raises ValueError for names that are none."""
    for name in (domain, selector):
        if not _NAME.fullmatch(name) or len(name) > 253:
            raise ValueError(f"{name!r} is not a name in lower case letters, digits, - and .")
    return folder / domain / f"{selector}.pem"


def make_key(path: Path, algorithm: Algorithm) -> bool:
    """Make a key where there is none, on disk on return; False when there is one. Raises OSError."""
    if path.exists():
        return False
    make_folders(str(path.parents[2]), str(path.parent))
    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if algorithm == "rsa-sha256":
        key = rsa.generate_private_key(65537, RSA_BITS)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    octets = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return make_once(path, octets)


def load_key(path: Path, domain: str, selector: str) -> tuple[Signer, str]:
    """The signer, and the value of the DNS record. Raises OSError, ValueError."""
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if isinstance(key, rsa.RSAPrivateKey):
        private = key
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        signer = Signer(
            domain, selector, "rsa-sha256", lambda data: private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        )
        return signer, record("rsa-sha256", public)
    if isinstance(key, ed25519.Ed25519PrivateKey):
        edwards = key
        public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        signer = Signer(domain, selector, "ed25519-sha256", lambda data: edwards.sign(hashlib.sha256(data).digest()))
        return signer, record("ed25519-sha256", public)
    raise ValueError(f"{path}: neither RSA nor Ed25519")


class Signing:
    """One in the runner; called in its loop, for the directory's view serves one thread."""

    def __init__(self, directory: Directory, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._directory, self._folder, self._clock = directory, folder, clock
        self._keys: dict[Path, tuple[int, Signer]] = {}
        self._troubled: dict[Path, float] = {}

    def signs(self, name: str) -> bool:
        """True when mail of that domain gets a signature here."""
        return bool(self._signers(name))

    async def of_author(self, content: Content, size: int) -> bytes:
        """Signature fields by the domain of the author; b"" where it is not ours or signs nothing. Raises OSError."""
        try:
            header = scan_pieces(content())
        except HeaderProblem:
            return b""
        authors = header.all(b"from")
        if len(authors) != 1:
            return b""
        try:
            (address, *_) = addresses(header.unfolded(authors[0])) or ("",)
            domain = canonical_address(address).domain
        except (AddressProblem, InvalidAddress):
            return b""
        return await self.by_domain(domain, content, size)

    async def by_domain(self, domain: str, content: Content, size: int) -> bytes:
        """Signature fields by all selectors of a domain of ours that have a key here. Raises OSError."""
        signers = self._signers(domain)
        if not signers:
            return b""
        if size <= IN_LOOP:
            return self._sign(signers, content)
        return await asyncio.to_thread(self._sign, signers, content)

    def _sign(self, signers: list[Signer], content: Content) -> bytes:
        try:
            header, body = head_and_body(content())
        except HeaderProblem:
            return b""
        digest = BodyHash()
        for piece in body:
            digest.update(piece)
        whole, now = digest.digest(), self._clock()
        return b"".join(signature(signer, (header,), whole, now) for signer in signers)

    def _signers(self, name: str) -> list[Signer]:
        try:
            domain = self._directory.domain(name)
        except Deferred as error:  # better without a signature than not at all
            _log.warning("%s", fields(event="dkim-not-signed", domain=name, detail=str(error)))
            return []
        found = []
        for selector in domain.dkim_selectors[:MAX_SELECTORS] if domain is not None else ():
            signer = self._signer(name, selector.lower())
            if signer is not None:
                found.append(signer)
        return found

    def _signer(self, domain: str, selector: str) -> Signer | None:
        path = self._folder / domain / selector
        try:
            path = key_path(self._folder, domain, selector)
            changed = path.stat().st_mtime_ns
            known = self._keys.get(path)
            if known is None or known[0] != changed:
                known = self._keys[path] = changed, load_key(path, domain, selector)[0]
            return known[1]
        except (OSError, ValueError) as error:
            now = self._clock()
            if now - self._troubled.get(path, 0.0) >= AGAIN_SECONDS:
                self._troubled[path] = now
                _log.error("%s", fields(event="dkim-key-unusable", domain=domain, selector=selector, detail=str(error)))
            return None


def txt(text: str) -> str:
    """A value as a zone file has it: strings of at most 255 octets (RFC 1035 3.3.14)."""
    return " ".join(f'"{text[start : start + 255]}"' for start in range(0, len(text), 255))
