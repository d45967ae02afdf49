"""A directory that is one LDIF file, read-only: for tiny sites, and for tests without a server.

`directory.servers: [file:///etc/gatepost/company.ldif]`. The file is read again when it changes (write a new
one and rename it). Entries keep their identity by `entryUUID`; without it by their name. Passwords are the
`userPassword` values of the file, hashed as OpenLDAP does (or in the clear); they never leave this process.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import threading
import uuid
from pathlib import Path

import argon2
from argon2.exceptions import VerificationError
from passlib.context import CryptContext

from directory.authenticator_bind import BindAnswer, Verdict
from directory.identity import entry_id
from directory.ldif import InvalidLdif, records
from directory.model import Condition, Deferred
from directory.raw import RawEntry, canonical_dn, is_below
from directory.settings import DirectorySettings

_SCHEMES = CryptContext(
    [
        "ldap_salted_sha1", "ldap_salted_sha256", "ldap_salted_sha512", "ldap_sha1", "ldap_salted_md5", "ldap_md5",
        "ldap_pbkdf2_sha1", "ldap_pbkdf2_sha256", "ldap_pbkdf2_sha512", "ldap_sha512_crypt", "ldap_sha256_crypt",
        "ldap_bcrypt", "ldap_md5_crypt",
    ]
)  # fmt: skip
_ARGON2 = "{ARGON2}"
MAX_PASSWORD_OCTETS = 1024  # hashing a longer one only costs time


def verify(stored: bytes, password: str) -> bool:
    """Is `password` the one whose userPassword value is `stored`? Raises ValueError for an unknown scheme."""
    text = stored.decode("utf-8", "replace").rstrip("\0")  # slapd's argon2 module ends its values with NUL
    if len(password.encode()) > MAX_PASSWORD_OCTETS:
        return False
    if text.upper().startswith(_ARGON2):
        try:
            return argon2.PasswordHasher().verify(text[len(_ARGON2) :], password)
        except VerificationError:
            return False
        except argon2.exceptions.InvalidHashError as error:
            raise ValueError(f"{_ARGON2}: {error}") from error
    if not text.startswith("{"):
        return hmac.compare_digest(text.encode(), password.encode())
    if _SCHEMES.identify(text) is None:
        raise ValueError(f"unknown scheme {text.partition('}')[0]}}}")
    return bool(_SCHEMES.verify(password, text))


class LdifFile:
    """One file. Thread-safe."""

    def __init__(self, path: Path, source: str = "directory", base: str = "") -> None:
        self.path = path
        self._source, self._base = source, canonical_dn(base)
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._read_as = ""
        self._entries: tuple[RawEntry, ...] = ()
        self._passwords: dict[str, tuple[bytes, ...]] = {}

    @classmethod
    def of(cls, settings: DirectorySettings) -> LdifFile | None:
        """The file that the configuration names; None when it names servers."""
        path = settings.ldif_path
        return cls(path, settings.source, settings.base) if path is not None else None

    def _trouble(self, reason: str) -> Deferred:
        return Deferred(Condition.DIRECTORY_UNAVAILABLE, f"{self.path}:{reason}")

    def version(self) -> str:
        """Differs when the file does. Raises Deferred when it is not there."""
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise self._trouble(f" {error.strerror}") from error
        return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"

    def entries(self) -> tuple[RawEntry, ...]:
        """All entries below the base. Raises Deferred with the line that cannot be read."""
        with self._lock:
            self._load()
            return self._entries

    def passwords(self, dn: str) -> tuple[bytes, ...] | None:
        """The userPassword values of an entry; None when there is no such entry."""
        with self._lock:
            self._load()
            return self._passwords.get(canonical_dn(dn))

    def _load(self) -> None:
        version = self.version()
        if version == self._read_as:
            return
        entries: dict[str, RawEntry] = {}
        passwords: dict[str, tuple[bytes, ...]] = {}
        ids: set[str] = set()
        try:
            for dn, attributes, line in records(self.path.read_bytes()):
                name = canonical_dn(dn)
                if not is_below(name, self._base):
                    continue
                raw = self._entry(dn, name, attributes, line)
                if name in entries or raw.id in ids:
                    raise InvalidLdif(line, f"{dn} stands here twice, or its entryUUID does")
                entries[name] = raw
                ids.add(raw.id)
                passwords[name] = tuple(attributes.get("userpassword", ()))
        except InvalidLdif as error:
            raise self._trouble(str(error)) from error
        except OSError as error:
            raise self._trouble(f" {error.strerror}") from error
        self._entries, self._passwords, self._read_as = tuple(entries.values()), passwords, version

    def _entry(self, dn: str, name: str, attributes: dict[str, list[bytes]], line: int) -> RawEntry:
        given = attributes.get("entryuuid")
        try:
            identity = (
                entry_id(self._source, "entryUUID", given[0].strip())
                if given
                else f"{self._source}:{uuid.uuid5(uuid.NAMESPACE_X500, name)}"
            )
        except ValueError:
            raise InvalidLdif(line, f"{dn}: entryUUID is no UUID") from None
        # what a server would do: the version changes with every value, the password too
        mark = hashlib.blake2b(key=self._key, digest_size=16)
        for key in sorted(attributes):
            for value in attributes[key]:
                mark.update(b"%d:%s%d:" % (len(key), key.encode(), len(value)) + value)
        return RawEntry(identity, dn, attributes | {"entrycsn": [mark.hexdigest().encode()]})


class FileBinds:
    """Checks passwords against the file, as a server's simple bind would."""

    def __init__(self, file: LdifFile) -> None:
        self._file = file

    def bind(self, dn: str, password: str) -> BindAnswer:
        """What the file says. Raises Deferred when it cannot be read."""
        stored = self._file.passwords(dn)
        if not stored:
            return BindAnswer(Verdict.FORBIDDEN, False, "no password in the file")
        problems = []
        for value in stored:
            try:
                if verify(value, password):
                    return BindAnswer(Verdict.RIGHT, False, "")
            except ValueError as error:
                problems.append(str(error))
        if len(problems) == len(stored):
            return BindAnswer(Verdict.FORBIDDEN, False, "; ".join(problems))
        return BindAnswer(Verdict.WRONG, False, "userPassword of the file")

    def close(self) -> None:
        """Nothing is open."""
