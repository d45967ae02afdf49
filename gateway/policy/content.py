"""What a message must be like: hops, authors, fields that submission adds. Facts in, verdict or change out."""

from __future__ import annotations

from collections.abc import Callable

from directory.model import Condition, Refused
from gateway.mail.address_list import AddressProblem, addresses
from gateway.mail.dates import date_of
from gateway.mail.header import Header


def looping(header: Header, max_hops: int) -> Refused | None:
    """The refusal of a message that has been on its way for too long (RFC 5321 6.3)."""
    hops = len(header.all(b"received"))
    return Refused(Condition.TOO_MANY_HOPS, f"{hops} Received fields") if hops > max_hops else None


def foreign_author(header: Header, may_write_as: Callable[[str], bool]) -> Refused | None:
    """The refusal of a message whose authors are not all the submitter's own."""
    fields = header.all(b"from")
    if len(fields) != 1:
        text = "a message has one From field"
        return Refused(Condition.BAD_MESSAGE, f"{len(fields)} From fields", text)
    try:
        authors = addresses(header.unfolded(fields[0]))
    except AddressProblem as problem:
        return Refused(Condition.BAD_MESSAGE, f"From: {problem}", f"From cannot be read: {problem}")
    if not authors:
        return Refused(Condition.BAD_MESSAGE, "From without address", "From names nobody")
    for author in authors:
        if not may_write_as(author):
            return Refused(Condition.AUTHOR_NOT_OWNED, f"From {author}", "From is not an address of yours")
    return None


def missing_fields(header: Header, *, message_id: str, hostname: str, now: float) -> bytes:
    """Date and Message-ID where the submitter left them out (RFC 6409 8.1, 8.2)."""
    added = b""
    if not header.has(b"date"):
        added += b"Date: " + date_of(now).encode("ascii") + b"\n"
    if not header.has(b"message-id"):
        added += f"Message-ID: <{message_id}@{hostname}>\n".encode()
    return added
