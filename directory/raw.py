"""A directory entry as the server sent it, and names in the form under which they are compared."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import msgspec
from ldap3.core.exceptions import LDAPInvalidDnError
from ldap3.utils.dn import parse_dn

#: never kept, with any option (`;binary`): secrets, for the workers read the copy, and values that are only large
NEVER_KEPT = frozenset({
    "userpassword", "authpassword", "pwdhistory", "passwordhistory", "gatepostscramkey",
    "unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "supplementalcredentials", "unixuserpassword",
    "ms-mcs-admpwd", "mslaps-password", "mslaps-encryptedpassword",
    "krbprincipalkey", "krbextradata", "krbmkey", "ipanthash", "sambantpassword", "sambalmpassword",
    "sambapasswordhistory", "radiuspassword", "dhcpomapisecret", "oathsecret", "ipatokenotpkey",
    "jpegphoto", "photo", "thumbnailphoto", "thumbnaillogo", "audio",
    "usercertificate", "usersmimecertificate", "userpkcs12", "cacertificate",
})  # fmt: skip
MAX_VALUE_OCTETS = 64 * 1024
MAX_ENTRY_OCTETS = 8 * 1024 * 1024  # a list of 50,000 member DNs is 4 MiB


class RawEntry(msgspec.Struct, frozen=True, array_like=True):
    """`id` is `<source>:<uuid>`; attribute names are lower case, values octets."""

    id: str
    dn: str
    attributes: dict[str, list[bytes]]

    def texts(self, name: str) -> list[str]:
        """The values of an attribute as text; octets that are no UTF-8 are replaced."""
        return [value.decode("utf-8", "replace") for value in self.attributes.get(name, ())]


#: nothing in it that needs more than a split
_PLAIN_DN = re.compile(r"[A-Za-z0-9 .-]+=[^,=+\"\\<>;#]+(?:,[A-Za-z0-9 .-]+=[^,=+\"\\<>;#]+)*\Z")


#: an escaped octet or an escaped character (RFC 4514 2.4)
_ESCAPE = re.compile(rb"\\([0-9A-Fa-f]{2})|\\(.)", re.DOTALL)
_SPECIAL = re.compile(r'[,+"\\<>;=]|^[ #]| \Z')


@lru_cache(maxsize=65536)
def canonical_dn(dn: str) -> str:
    """The DN in lower case without optional spaces and escapes that differ (RFC 4514): equal names
    give equal text. A text that is no DN is only lower-cased."""
    if _PLAIN_DN.match(dn):
        pairs = (part.partition("=") for part in dn.lower().split(","))
        return ",".join([f"{name.strip()}={value.strip()}" for name, _, value in pairs])
    try:
        parts = parse_dn(dn, escape=False, strip=True)
    except (LDAPInvalidDnError, IndexError, ValueError):
        return dn.strip().lower()
    return "".join(f"{name.lower()}={_same_escapes(value.strip())}{separator}" for name, value, separator in parts)


def _same_escapes(value: str) -> str:
    """`value` in lower case, each character that needs it escaped by a backslash, none by its code."""
    if "\\" not in value:
        return value.lower()
    octets = _ESCAPE.sub(
        lambda m: bytes.fromhex(m[1].decode()) if m[1] else m[2], value.encode("utf-8", "surrogateescape")
    )
    return _SPECIAL.sub(r"\\\g<0>", octets.decode("utf-8", "replace").lower())


def login_key(login: str) -> str:
    """A login name as it is compared: without outer spaces, case and ways to compose a letter."""
    login = login.strip()
    return login.lower() if login.isascii() else unicodedata.normalize("NFC", login.casefold())


def is_below(dn: str, base: str) -> bool:
    """True when canonical `dn` is canonical `base` or lies under it."""
    return not base or dn == base or dn.endswith("," + base)


def parent_dn(dn: str) -> str:
    """The DN of the entry above, canonical form in and out; "" at the top."""
    position = 0
    while True:
        position = dn.find(",", position)
        if position < 0:
            return ""
        before = dn[:position]
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:  # an odd number of backslashes: this comma is escaped
            return dn[position + 1 :]
        position += 1


def kept(attributes: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    """What of a server's answer the replica keeps."""
    result: dict[str, list[bytes]] = {}
    size = 0
    for name, values in attributes.items():
        lower = name.lower()
        if lower.partition(";")[0] in NEVER_KEPT:
            continue
        fitting = [bytes(v) for v in values if len(v) <= MAX_VALUE_OCTETS]
        size += sum(map(len, fitting))
        if fitting and size <= MAX_ENTRY_OCTETS:
            result[lower] = fitting
    return result
