"""What is asked of a list by mail to `<list>-request`: one word in the Subject, and where it needs one, a token.

A token is 128 bits that only this site can have made for this list and this post. It says what is meant and that the
notice was read; who may decide is asked apart from it.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode, urlsafe_b64encode
from dataclasses import dataclass

from directory.model import InvalidAddress, canonical_address
from gateway.mail.address_list import AddressProblem, addresses
from gateway.mail.header import Header
from gateway.mime.encoded import decode_header_text

TOKEN_OCTETS = 16  # 26 characters
_SUBJECT = re.compile(
    r"(?:(?:re|aw|sv|回复|答复)\s*[:：]\s*){0,5}"
    r"(?:(?P<alone>subscribe|unsubscribe|help|copy|nocopy)|unpark\s+(?P<member>[^\s@]{1,64}@[^\s@]{1,255})|(?P<verb>approve|reject|confirm|admit)"
    r"(?:\s+(?P<address>[^\s@]{1,64}@[^\s@]{1,255}))?\s+(?P<token>[a-z2-7]{26}))\s*\Z",
    re.IGNORECASE,
)
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Request:
    """`verb` in lower case; `token` and `address` "" where the verb needs none."""

    verb: str
    token: str = ""
    address: str = ""


def request_of(header: Header) -> Request | None:
    """What the message asks for, None when a person has to read it."""
    for field in header.all(b"subject")[:1]:
        match = _SUBJECT.match(decode_header_text(header.unfolded(field)).strip())
        if match is not None:
            if match["alone"]:
                return Request(match["alone"].lower())
            if match["member"]:
                return Request("unpark", address=match["member"])
            return Request(match["verb"].lower(), match["token"].lower(), match["address"] or "")
    return None


def post_token(key: bytes, list_id: str, post: str) -> str:
    """The token of a post that waits for moderators."""
    return _token(key, f"post {len(list_id)} {list_id} {post}")


def member_wish_token(key: bytes, list_id: str, verb: str, address: str, now: float) -> str:
    """The token by which the owner of `address` confirms `verb`, made on the day of `now`."""
    return _token(key, f"{verb} {int(now // DAY)} {len(list_id)} {list_id} {address}")


def leave_token(key: bytes, list_id: str, member: str) -> str:
    """The token by which whoever has a member's own copy takes him off the list (RFC 8058). It does not expire: the
    copy does not, and what it does can be undone by subscribing."""
    return _token(key, f"leave {len(list_id)} {list_id} {member}")


def leave_url(web: str, key: bytes, list_id: str, member: str) -> str:
    """Where one member leaves a list by one click; `web` is the front end's address."""
    parts = (urlsafe_b64encode(text.encode()).decode().rstrip("=") for text in (list_id, member))
    return f"{web}/unsubscribe/{'/'.join(parts)}/{leave_token(key, list_id, member)}"


def _token(key: bytes, text: str) -> str:
    digest = hmac.digest(key, text.encode(), "sha256")
    return b32encode(digest[:TOKEN_OCTETS]).decode("ascii").lower().rstrip("=")


def is_member_wish(token: str, key: bytes, list_id: str, verb: str, address: str, now: float, days: int) -> bool:
    """True for a token that is at most `days` old."""
    return any(
        hmac.compare_digest(token, member_wish_token(key, list_id, verb, address, now - day * DAY))
        for day in range(days + 1)
    )


def author_of(header: Header) -> str:
    """The canonical address of the one author; "" when there is not just one, or it cannot be read in one way."""
    fields = header.all(b"from")
    try:
        found = addresses(header.unfolded(fields[0])) if len(fields) == 1 else []
        return str(canonical_address(found[0])) if len(found) == 1 else ""
    except (AddressProblem, InvalidAddress):
        return ""


def is_automatic(header: Header) -> bool:
    """True for mail of programs and lists, which ask for nothing (RFC 3834 2)."""
    for field in header.all(b"auto-submitted"):
        if header.unfolded(field).lower() != b"no":
            return True
    for field in header.all(b"precedence"):
        if header.unfolded(field).lower() in (b"bulk", b"list", b"junk"):
            return True
    return header.has(b"list-id")
