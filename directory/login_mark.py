"""Has anything changed that could turn a wrong password into a right one, or a right one into a wrong one?

The server's own bookkeeping gets in the way: OpenLDAP's ppolicy writes pwdFailureTime at a failed bind and
takes it away at a good one, and each time the entry gets a new entryCSN. A mark therefore has two parts:
what the entry says, bookkeeping left out, and its version. The content alone decides where the server
records password changes in a readable attribute; elsewhere the version must be the same too.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from directory.raw import RawEntry, canonical_dn

#: written by servers at every bind, or with every change of anything
BOOKKEEPING = frozenset({
    "entrycsn", "modifytimestamp", "modifiersname", "entrydn", "usnchanged", "whenchanged", "dscorepropagationdata",
    "pwdfailuretime", "pwdaccountlockedtime", "pwdlastsuccess", "pwdgraceusetime", "authtimestamp",
    "passwordretrycount", "retrycountresettime", "accountunlocktime", "lastlogintime",
    "badpwdcount", "badpasswordtime", "lastlogon", "lastlogontimestamp", "logoncount", "lockouttime",
    "krblastsuccessfulauth", "krblastfailedauth", "krbloginfailedcount",
})  # fmt: skip
#: attributes that change with the password (ppolicy, 389 DS, AD, Kerberos)
_CHANGED = ("pwdchangedtime", "pwdupdatetime", "pwdlastset", "krblastpwdchange")
#: proof that what ppolicy writes can be read here, so that a password change would be seen too
_POLICY = ("pwdchangedtime", "pwdfailuretime")
_VERSION = ("entrycsn", "usnchanged", "modifytimestamp")


@dataclass(frozen=True, slots=True)
class LoginMark:
    """The state of an entry, as far as logins are concerned."""

    content: str
    version: str
    #: the content shows password changes
    shows_changes: bool
    #: what the server's password policy writes is readable
    shows_policy: bool
    #: differs after any change of the password, where the server records those; "" where it does not
    password: str = ""

    def same_password(self, content: str, version: str, *, by_policy: bool) -> bool:
        """True when the password is certainly still what it was under the remembered content and version.

        `by_policy`: the server's password policy answered then, and its attributes are known to be readable:
        a password set since would show in the content.
        """
        return content == self.content and (version == self.version or self.shows_changes or by_policy)


def version_of(raw: RawEntry) -> str:
    """A text that differs after any change of the entry."""
    for name in _VERSION:
        if name in raw.attributes:
            return raw.texts(name)[0]
    return "0"


def login_mark(raw: RawEntry) -> LoginMark:
    """The mark of an entry as it is now."""
    digest = hashlib.sha256(canonical_dn(raw.dn).encode("utf-8", "surrogateescape"))
    for name in sorted(raw.attributes):
        if name not in BOOKKEEPING:
            digest.update(f"\0{name}".encode())
            for value in sorted(raw.attributes[name]):
                digest.update(b"\0%d:" % len(value) + value)
    return LoginMark(
        digest.hexdigest()[:32],
        version_of(raw),
        any(name in raw.attributes for name in _CHANGED),
        any(name in raw.attributes for name in _POLICY),
        " ".join(f"{name}={raw.texts(name)[0]}" for name in _CHANGED if name in raw.attributes),
    )
