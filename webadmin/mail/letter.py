"""A message that somebody writes, and its octets: as it is sent and as it lies in Drafts and Sent.

A header has only what is put there: names and subjects lose their line ends, addresses are checked, ids are taken only
in their proper form. Parts of other messages (a forwarded attachment, a whole message) go in octet by octet.
"""

from __future__ import annotations

import email.policy
import mimetypes
import re
import secrets
from dataclasses import dataclass
from email.message import EmailMessage

from gateway.mail.dates import date_of
from webadmin.mail import flowed, rich
from webadmin.mail.header_lines import people_field, text_field, tokens_field
from webadmin.mail.recipients import Person, one_line

MAX_SUBJECT = 900  # characters
MAX_REFERENCES = 20  # the first and the newest (RFC 5322 3.6.4 leaves it open; lines have an end)
KEY = re.compile(r"[a-z0-9]{20,40}\Z")
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,200}@[!-;=?-~]{1,200}>")
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}\Z")
_ASCII = email.policy.SMTP.clone(cte_type="7bit", refold_source="none")
ABOUT = "X-Gatepost-About"  # in drafts: which message they answer or forward


@dataclass(frozen=True, slots=True)
class Attachment:
    """`part` is a whole MIME part, header and body, with CRLF line ends."""

    name: str
    kind: str
    size: int
    part: bytes
    #: where it lies among the person's messages, as `source.Place`; "" = just uploaded
    place: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """What stands in the form. `html` "" = plain text; `key` names it from the first draft on and makes its id."""

    key: str
    author: Person | None = None
    to: tuple[Person, ...] = ()
    cc: tuple[Person, ...] = ()
    bcc: tuple[Person, ...] = ()
    subject: str = ""
    text: str = ""
    html: str = ""
    attachments: tuple[Attachment, ...] = ()
    in_reply_to: str = ""
    references: str = ""
    #: "answered" or "forwarded", and the place of that message; "" = a new one
    about: str = ""
    wants_receipt: bool = False
    #: a calendar object that answers an invitation, beside the text (RFC 6047); b"" = it is an ordinary letter
    calendar: bytes = b""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody who gets it."""
        return tuple(dict.fromkeys(person.address for person in (*self.to, *self.cc, *self.bcc)))

    @property
    def needs_utf8(self) -> bool:
        """True when an address has no ASCII form (RFC 6531)."""
        authors = (self.author.address,) if self.author is not None else ()
        return not all(address.isascii() for address in (*authors, *self.recipients))

    @property
    def message_id(self) -> str:
        """The same each time it is asked for."""
        domain = self.author.address.rpartition("@")[2] if self.author is not None else "localhost"
        return f"<{self.key}@{domain}>"


def new_key() -> str:
    """For a letter that is begun."""
    return secrets.token_hex(12)


def ids(text: str) -> list[str]:
    """The message ids in a text, proper ones only."""
    return _MESSAGE_ID.findall(text)


def shortened(references: list[str]) -> list[str]:
    """At most MAX_REFERENCES: the first one and the newest."""
    once = list(dict.fromkeys(references))
    return once if len(once) <= MAX_REFERENCES else [once[0], *once[1 - MAX_REFERENCES :]]


def uploaded(name: str, kind: str, content: bytes) -> Attachment:
    """A file that came from the person's disk."""
    name = one_line(name.replace("\\", "/").rpartition("/")[2])[:200] or "file"
    kind = kind.lower().partition(";")[0].strip()
    if not _TYPE.match(kind) or kind == "application/octet-stream":
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if kind.startswith(("message/", "multipart/")):  # may not be base64 (RFC 2046 5.1, 5.2.1)
        kind = "application/octet-stream"
    part = EmailMessage(policy=_ASCII)
    main, _, sub = kind.partition("/")
    part.set_content(content, maintype=main, subtype=sub, disposition="attachment", filename=name)
    del part["MIME-Version"]
    return Attachment(name, kind, len(content), part.as_bytes())


def octets(letter: Letter, now: float, *, hidden: bool = False, draft: bool = False) -> bytes:
    """The message. `hidden`: with its Bcc field, as the author keeps it; `draft`: with what is needed to go on writing."""
    head = [people_field("From", (letter.author,))] if letter.author is not None else []
    for name, people in (("To", letter.to), ("Cc", letter.cc), ("Bcc", letter.bcc if hidden else ())):
        if people:
            head.append(people_field(name, people))
    head += [
        text_field("Subject", letter.subject[:MAX_SUBJECT]),
        tokens_field("Date", (date_of(now),)),
        tokens_field("Message-ID", (letter.message_id,)),
    ]
    if answered := ids(letter.in_reply_to)[:1]:
        head.append(tokens_field("In-Reply-To", answered))
    if references := shortened(ids(letter.references)):
        head.append(tokens_field("References", references))
    if draft and letter.about:
        head.append(tokens_field(ABOUT, (letter.about.encode("utf-8").hex(),)))
    head += [tokens_field("User-Agent", ("Gatepost",)), tokens_field("MIME-Version", ("1.0",))]
    others = [_html(letter)] if letter.html else []
    others += [_calendar(letter)] if letter.calendar else []
    body = _multipart("alternative", [_plain(letter), *others]) if others else _plain(letter)
    if letter.attachments:
        body = _multipart("mixed", [body, *(attachment.part for attachment in letter.attachments)])
    return b"".join(head) + body


def _plain(letter: Letter) -> bytes:
    part = EmailMessage(policy=_ASCII)
    part.set_content(flowed.flow(letter.text).rstrip("\n") + "\n", charset="utf-8", params={"format": "flowed"})
    del part["MIME-Version"]
    return part.as_bytes()


def _html(letter: Letter) -> bytes:
    part = EmailMessage(policy=_ASCII)
    page = f'<!doctype html><html><head><meta charset="utf-8"></head><body>{rich.cleaned(letter.html)}</body></html>\n'
    part.set_content(page, subtype="html", charset="utf-8")
    del part["MIME-Version"]
    return part.as_bytes()


def _calendar(letter: Letter) -> bytes:
    part = EmailMessage(policy=_ASCII)
    part.set_content(
        letter.calendar, maintype="text", subtype="calendar", params={"method": "REPLY", "charset": "utf-8"}
    )
    del part["MIME-Version"]
    return part.as_bytes()


def _multipart(subtype: str, parts: list[bytes]) -> bytes:
    boundary = f"=_{secrets.token_hex(16)}"
    mark = f"--{boundary}".encode()
    pieces = [f'Content-Type: multipart/{subtype}; boundary="{boundary}"\r\n\r\n'.encode()]
    for part in parts:
        pieces += [mark, b"\r\n", part.removesuffix(b"\r\n"), b"\r\n"]
    return b"".join([*pieces, mark, b"--\r\n"])
