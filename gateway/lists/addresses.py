"""The addresses of a list: its own, and those under which it is served (`-bounces`, `-owner`, `-request`).

What leaves for a member outside carries a return path of his own, `<list>-bounces+<token>@domain` (VERP), so that
a bounce names the member whatever its text says. The token is a keyed hash: nobody but this site can make one.
"""

from __future__ import annotations

import hmac
from base64 import b32encode

from directory.model import MailingList

BOUNCES, OWNER, REQUEST = "-bounces", "-owner", "-request"
#: local part endings under which something of a list is reached
SUFFIXES = (BOUNCES, OWNER, REQUEST)
#: stands before a token, whatever `route.extension_separator` says: people never type these addresses
TOKEN_MARK = "+"
MAX_LOCAL = 64  # octets of a local part (RFC 5321 4.5.3.1.1)
TOKEN_OCTETS = 10  # 80 bits, 16 characters: what fits, and far more than can be guessed by mail


def list_address(mailing_list: MailingList) -> str | None:
    """The canonical address that the list is known by; None for a list without one."""
    if mailing_list.primary and mailing_list.primary.lower() in mailing_list.addresses:
        return mailing_list.primary.lower()
    return mailing_list.addresses[0] if mailing_list.addresses else None


def service_address(mailing_list: MailingList, suffix: str) -> str | None:
    """`<list><suffix>@domain`; None for a list without address."""
    address = list_address(mailing_list)
    if address is None:
        return None
    local, _, domain = address.rpartition("@")
    return f"{local}{suffix}@{domain}"


def bounce_address(mailing_list: MailingList) -> str | None:
    """The return path of what a list sends: `<list>-bounces@domain`; None for a list without address."""
    return service_address(mailing_list, BOUNCES)


def served(local: str) -> tuple[str, str, str] | None:
    """(local part of the list, suffix, token) when `local` looks like a service address of a list."""
    for suffix in SUFFIXES:
        if local.endswith(suffix) and len(local) > len(suffix):
            return local[: -len(suffix)], suffix, ""
    base, mark, token = local.rpartition(TOKEN_MARK)
    if mark and base.endswith(BOUNCES) and len(base) > len(BOUNCES):
        return base[: -len(BOUNCES)], BOUNCES, token.lower()
    return None


def member_token(key: bytes, list_id: str, member: str) -> str:
    """The token of a member of the list with that entry id; `member` is his canonical address."""
    digest = hmac.digest(key, f"member {len(list_id)} {list_id} {member}".encode(), "sha256")
    return b32encode(digest[:TOKEN_OCTETS]).decode("ascii").lower()


def member_path(mailing_list: MailingList, key: bytes, member: str) -> str | None:
    """The return path of a member's own copy; the list's common one where the local part would become too long."""
    common = bounce_address(mailing_list)
    if common is None or not member:
        return common
    local, _, domain = common.rpartition("@")
    own = f"{local}{TOKEN_MARK}{member_token(key, mailing_list.id, member)}"
    return common if len(own.encode()) > MAX_LOCAL else f"{own}@{domain}"
