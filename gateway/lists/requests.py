"""What is asked of a list by mail to `<list>-request`: one word in the Subject, and where it needs one, a token.

A token is 128 bits that only this site can have made for this list and this post. It says what is meant and that the
notice was read; who may decide is asked apart from it.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from dataclasses import dataclass

from gateway.mail.header import Header
from gateway.mime.encoded import decode_header_text

TOKEN_OCTETS = 16
TOKEN_LENGTH = 26
_SUBJECT = re.compile(
    r"(?:(?:re|aw|sv|回复|答复)\s*[:：]\s*){0,5}(approve|reject)\s+([a-z2-7]{26})\s*\Z", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Request:
    """`verb` in lower case; `token` "" where the verb needs none."""

    verb: str
    token: str = ""


def request_of(header: Header) -> Request | None:
    """What the message asks for, None when a person has to read it."""
    for field in header.all(b"subject")[:1]:
        match = _SUBJECT.match(decode_header_text(header.unfolded(field)).strip())
        if match is not None:
            return Request(match[1].lower(), match[2].lower())
    return None


def post_token(key: bytes, list_id: str, post: str) -> str:
    """The token of a post that waits for moderators."""
    digest = hmac.digest(key, f"post {len(list_id)} {list_id} {post}".encode(), "sha256")
    return b32encode(digest[:TOKEN_OCTETS]).decode("ascii").lower().rstrip("=")
