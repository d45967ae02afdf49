"""ENVELOPE of a message from its header alone (RFC 3501 7.4.2)."""

from __future__ import annotations

from gateway.mime.address import addresses
from gateway.mime.fields import Fields
from gateway.mime.quoting import nstring


def envelope_of(fields: Fields) -> bytes:
    """The parenthesised list. Sender and Reply-To are From's where they are missing or empty."""
    get, joined = fields.get, fields.joined
    author = addresses(get(b"\nfrom:"))
    sender, reply_to = get(b"\nsender:"), get(b"\nreply-to:")
    of_sender = addresses(sender) if sender else b"NIL"
    of_reply = addresses(reply_to) if reply_to else b"NIL"
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        nstring(get(b"\ndate:")),
        nstring(get(b"\nsubject:")),
        author,
        author if of_sender == b"NIL" else of_sender,
        author if of_reply == b"NIL" else of_reply,
        addresses(joined(b"\nto:")),
        addresses(joined(b"\ncc:")),
        addresses(joined(b"\nbcc:")),
        nstring(get(b"\nin-reply-to:")),
        nstring(get(b"\nmessage-id:")),
    )
