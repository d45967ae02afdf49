"""memberURL of a dynamic list: an LDAP URL (RFC 4516) of which base, scope and filter count."""

from __future__ import annotations

from urllib.parse import unquote

SCOPES = ("base", "one", "sub")


def parse(url: str) -> tuple[str, str, str]:
    """(base, scope, filter) of `ldap:///base?attributes?scope?filter`. Raises ValueError.

    The host is ignored: a list is searched in the directory that it stands in. Without a scope the
    whole subtree is meant: RFC 4516 says `base`, which as a list would be one entry, and no directory
    that expands lists reads it so.
    """
    scheme, separator, rest = url.strip().partition("://")
    if not separator or scheme.lower() not in ("ldap", "ldaps", "ldapi"):
        raise ValueError(f"{url!r} is no LDAP URL")
    _, _, path = rest.partition("/")
    base, _, scope, text, *_ = [unquote(part) for part in path.split("?")] + [""] * 4
    scope = scope.lower() or "sub"
    if scope not in SCOPES:
        raise ValueError(f"{url!r}: the scope is base, one or sub")
    return base, scope, text or "(objectClass=*)"
