"""A DKIM signature and its key, read (RFC 6376 3.5, 3.6.1; RFC 8301, RFC 8463, RFC 8616). Pure; LF line ends.

What cannot be accepted is `Unacceptable` with the result that RFC 8601 2.7.1 has for it:

    neutral    the field has errors, or says what nobody here understands
    permerror  no signature could be verified so: no From in it, expired, no key, a key that does not fit
    policy     it could be, but would prove too little: rsa-sha1, or a body of which a part is not signed
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from directory.model import InvalidAddress, canonical_domain
from gateway.mail.dkim import Algorithm, Form, relaxed_field
from gateway.mail.header import Field, Header

NAME = b"dkim-signature"
MAX_NAMES = 400  # in `h=`: more than any signer writes, few enough to be looked up
MAX_QUERY = 253  # octets of a name in the DNS
Outcome = Literal["pass", "fail", "policy", "neutral", "temperror", "permerror"]

_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_SELECTOR = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_NUMBER = re.compile(r"[0-9]{1,12}")
_SPACE = re.compile(r"[ \t\n]+")
#: the value of `b=` in a field, which is not signed
_SIGNATURE_VALUE = re.compile(rb"((?:^|;)[ \t\n]*b[ \t\n]*=)[^;]*")


class Unacceptable(ValueError):
    """Nothing is proven by this signature; the message says why."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome: Outcome = outcome


@dataclass(frozen=True, slots=True)
class Signature:
    """One DKIM-Signature field. `domain` and `selector` are A-labels in lower case."""

    field: Field
    domain: str
    selector: str
    algorithm: Algorithm
    header_form: Form
    body_form: Form
    body_digest: bytes
    names: tuple[bytes, ...]
    octets: bytes
    #: the domain of `i=` is not `domain` but lies in it: some keys do not allow that
    is_of_subdomain: bool = False
    #: octets of the body that are signed; None = all
    length: int | None = None
    #: unix time
    expires: int | None = None

    @property
    def query(self) -> str:
        """The name of the key's record (RFC 6376 3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class Key:
    """A public key: SubjectPublicKeyInfo for RSA, the 32 octets for Ed25519."""

    kind: Literal["rsa", "ed25519"]
    octets: bytes
    #: its owner only tries: mail signed with it counts as not signed (`t=y`)
    is_on_trial: bool = False
    #: not for addresses in domains below (`t=s`)
    is_strict: bool = False


def tags(text: str) -> dict[str, str]:
    """The tags of a tag-list with their values, white space within these not touched (RFC 6376 3.2). Raises ValueError."""
    found: dict[str, str] = {}
    parts = text.split(";")
    if not parts[-1].strip():
        parts.pop()
    for part in parts:
        name, separator, value = part.partition("=")
        name = name.strip()
        if not separator or not _TAG.fullmatch(name):
            raise ValueError(f"{name[:40]!r} is not a tag")
        if name in found:
            raise ValueError(f"{name[:40]}= is there twice")
        found[name] = value.strip()
    return found


def _joined(text: str) -> str:
    return _SPACE.sub("", text)


def _octets(text: str) -> bytes:
    """Raises ValueError."""
    try:
        return base64.b64decode(_joined(text), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _domain(text: str) -> str:
    if len(text) > MAX_QUERY:
        raise ValueError("a domain is too long")
    try:
        return canonical_domain(text)
    except InvalidAddress as error:
        raise ValueError(str(error)) from None


def read_signature(header: Header, field: Field, now: float) -> Signature:
    """The signature in a field. Raises Unacceptable."""
    try:
        return _read(header, field, now)
    except Unacceptable:
        raise
    except ValueError as error:
        raise Unacceptable("neutral", str(error)) from None


def _read(header: Header, field: Field, now: float) -> Signature:
    given = tags(header.unfolded(field).decode("utf-8"))
    for tag in ("v", "a", "b", "bh", "d", "h", "s"):
        if not given.get(tag):
            raise ValueError(f"{tag}= is missing")
    if given["v"] != "1":
        raise ValueError("v= is not 1")
    names = tuple(name.strip().lower().encode() for name in given["h"].split(":"))
    if len(names) > MAX_NAMES:
        raise ValueError(f"h= has more than {MAX_NAMES} names")
    domain = _domain(given["d"])
    selector = _SELECTOR.fullmatch(given["s"].lower()[: MAX_QUERY + 1])
    if selector is None or len(selector[0]) + len("._domainkey.") + len(domain) > MAX_QUERY:
        raise ValueError("s= is not a name")
    if "dns/txt" not in [_joined(way) for way in given.get("q", "dns/txt").split(":")]:
        raise ValueError("q= has no way that is known here")
    header_form, body_form = _forms(given.get("c", "simple/simple"))
    identity = _domain(given["i"].rpartition("@")[2]) if "i" in given else domain
    digest = _octets(given["bh"])
    length, signed, expires = (_number(given, tag) for tag in "ltx")
    if given["a"].lower() == "rsa-sha1":
        raise Unacceptable("policy", "rsa-sha1 proves nothing any more")  # RFC 8301 3.1
    algorithm = _algorithm(given["a"])
    if b"from" not in names:
        raise Unacceptable("permerror", "From is not signed")
    if identity != domain and not identity.endswith("." + domain):
        raise Unacceptable("permerror", "i= is not in d=")
    if expires is not None and (expires < now or (signed is not None and expires < signed)):
        raise Unacceptable("permerror", "the signature has expired")
    return Signature(
        field,
        domain,
        selector[0],
        algorithm,
        header_form,
        body_form,
        digest,
        names,
        _octets(given["b"]),
        identity != domain,
        length,
        expires,
    )


def _number(given: dict[str, str], tag: str) -> int | None:
    if tag not in given:
        return None
    if not _NUMBER.fullmatch(given[tag]):
        raise ValueError(f"{tag}= is not a number")
    return int(given[tag])


def _algorithm(text: str) -> Algorithm:
    match text.lower():
        case "rsa-sha256":
            return "rsa-sha256"
        case "ed25519-sha256":
            return "ed25519-sha256"
    raise ValueError("a= is an algorithm that is not known here")


def _form(text: str) -> Form:
    match text.strip().lower():
        case "simple":
            return "simple"
        case "relaxed":
            return "relaxed"
    raise ValueError("c= is a form that is not known here")


def _forms(text: str) -> tuple[Form, Form]:
    header, separator, body = text.partition("/")
    return _form(header), _form(body) if separator else "simple"


def read_key(records: Iterable[bytes]) -> Key:
    """The key in the records of a name, the first that is one. Raises Unacceptable."""
    problem = Unacceptable("permerror", "no key")
    for record in records:
        try:
            return _key(record)
        except ValueError as error:
            problem = Unacceptable("permerror", str(error))
    raise problem


def _key(record: bytes) -> Key:
    given = tags(record.decode("utf-8"))
    if given.get("v", "DKIM1") != "DKIM1":
        raise ValueError("the record is not a key's")
    if "p" not in given:
        raise ValueError("the record has no key")
    if not given["p"]:
        raise ValueError("the key is revoked")
    hashes, services, flags = (
        [word.strip().lower() for word in given.get(tag, default).split(":")]
        for tag, default in (("h", "sha256"), ("s", "*"), ("t", ""))
    )
    if "sha256" not in hashes:
        raise ValueError("the key is not for sha256")
    if "*" not in services and "email" not in services:
        raise ValueError("the key is not for mail")
    octets = _octets(given["p"])
    match given.get("k", "rsa").lower():
        case "rsa":
            return Key("rsa", octets, "y" in flags, "s" in flags)
        case "ed25519":
            return Key("ed25519", octets, "y" in flags, "s" in flags)
    raise ValueError("the key is of a kind that is not known here")


def signed_octets(signature: Signature, header: Header) -> bytes:
    """The octets that were signed: the fields in `names`, from the last of each name up, then the signature's own."""
    below: dict[bytes, list[Field]] = {}
    for field in header.fields:
        if field is not signature.field:
            below.setdefault(field.name, []).append(field)
    # a name without a field (any more) stands for nothing (RFC 6376 5.4.2)
    signed = [left.pop() for name in signature.names if (left := below.get(name))]
    octets = [_formed(signature.header_form, header.content, field) for field in signed]
    own = signature.field
    value = _SIGNATURE_VALUE.sub(rb"\1", header.content[own.value : own.end], count=1)
    if signature.header_form == "relaxed":
        octets.append(relaxed_field(own.name, value))
    else:
        octets.append((header.content[own.start : own.value] + value).replace(b"\n", b"\r\n"))
    return b"".join(octets).removesuffix(b"\r\n")


def _formed(form: Form, content: bytes, field: Field) -> bytes:
    if form == "relaxed":
        return relaxed_field(field.name, content[field.value : field.end])
    return content[field.start : field.end].rstrip(b"\n").replace(b"\n", b"\r\n") + b"\r\n"


def is_for(domain: str, signer: str) -> bool:
    """True when a signature of `signer` speaks for addresses in `domain`: it is the domain or one above it.

    The owner of a domain rules what lies below it, so no list of public suffixes is needed for this direction; a
    domain below never speaks for the one above.
    """
    return domain == signer or domain.endswith("." + signer)
