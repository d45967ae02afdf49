"""IMAP URLs of messages and parts on this server, as CATENATE takes them (RFC 5092 5; RFC 4469 2). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from gateway.imap.fetch_items import read_section
from gateway.imap.names import BadName, checked
from gateway.imap.parser import MAX_NUMBER, BadCommand, Parser
from gateway.mime import Section

MAX_URL = 8192  # octets
WHOLE = Section()
_URL = re.compile(
    rb"/?(?P<mailbox>[^;/][^;]*?)(?:;UIDVALIDITY=(?P<validity>\d{1,10}))?/;UID=(?P<uid>\d{1,10})"
    rb"(?:/;SECTION=(?P<section>[^;]{1,4096}?))?(?:/;PARTIAL=(?P<first>\d{1,10})(?:\.(?P<length>\d{1,10}))?)?\Z",
    re.IGNORECASE,
)


class BadUrl(ValueError):
    """Not the URL of a message here."""


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """A message or a section of it. `span` is (first octet, number of octets or None for all) of what is meant."""

    mailbox: str
    uid: int
    #: 0 where the URL does not say
    uidvalidity: int = 0
    section: Section = WHOLE
    span: tuple[int, int | None] | None = None


def read_url(octets: bytes) -> MessageUrl:
    """The message that a URL names: an absolute path, without scheme and host, which would be others'. Raises BadUrl."""
    found = _URL.match(octets) if len(octets) <= MAX_URL else None
    if found is None:
        raise BadUrl
    uid, validity = int(found["uid"]), int(found["validity"] or 0)
    if not 0 < uid <= MAX_NUMBER:
        raise BadUrl
    section = WHOLE
    try:
        mailbox = checked(unquote_to_bytes(found["mailbox"]).decode("utf-8"))
        if found["section"] is not None:
            arguments = Parser((unquote_to_bytes(found["section"]) + b"]",))
            section, _ = read_section(arguments)
            arguments.expect(b"]")
            arguments.end()
    except (UnicodeDecodeError, BadName, BadCommand):
        raise BadUrl from None
    span = None
    if found["first"] is not None:
        length = int(found["length"]) if found["length"] is not None else None
        if length == 0:
            raise BadUrl
        span = int(found["first"]), length
    return MessageUrl(mailbox, uid, validity, section, span)
