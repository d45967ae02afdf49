"""Messages that are there already, as somebody who answers, forwards or goes on writing needs them.

Only the text is fetched of what is answered, at most MAX_TEXT octets of each part; attachments when they are wanted, one
by one. `Place` says where a message or a part of it lies; it names nothing but the person's own mailboxes and those
shared with him, since it is looked up by his own connection.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from typing import Any

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from webadmin.backend import NotPossible, Unavailable
from webadmin.mail import flowed, rich
from webadmin.mail.letter import Attachment
from webadmin.mail.recipients import AddressMistake, Person, one_line, person

MAX_TEXT = 256 * 1024  # octets of a part that are quoted
MAX_PARTS = 200
MAX_DEPTH = 20
WHOLE = "0"  # the section that means the message itself
_PLACE = re.compile(r"(\d{1,10})\.(\d{1,10})\.(0|[1-9]\d{0,4}(?:\.[1-9]\d{0,4}){0,20})\.(.{1,1000})\Z", re.DOTALL)


class NotThere(NotPossible):
    """The message is gone, or was never this person's."""

    def __init__(self) -> None:
        super().__init__("the message is not there any more")


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a message, or the whole of it; UIDs mean something only under their UIDVALIDITY."""

    mailbox: str
    validity: int
    uid: int
    section: str = WHOLE

    def __str__(self) -> str:
        return f"{self.validity}.{self.uid}.{self.section}.{self.mailbox}"

    @classmethod
    def of(cls, text: str) -> Place | None:
        """The place that a form names; None where it is none."""
        found = _PLACE.match(text)
        return cls(found[4], int(found[1]), int(found[2]), found[3]) if found else None


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of a message's structure, or a message inside it."""

    section: str
    kind: str
    charset: str
    name: str
    size: int
    is_attachment: bool
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Source:
    """A message to write about."""

    place: Place
    header: Message
    text: str
    html: str
    attachments: tuple[Part, ...]
    flags: tuple[bytes, ...]

    def field(self, name: str) -> str:
        """A header field, decoded, on one line."""
        return decoded(str(self.header.get(name, "")))

    def people(self, *names: str) -> tuple[Person, ...]:
        """Everybody in these fields who can be written to."""
        found = []
        for name, address in getaddresses([str(value) for each in names for value in self.header.get_all(each, [])]):
            try:
                found.append(person(decoded(name), address))
            except AddressMistake:
                continue  # a group's name, an address that nobody can send to
        return tuple(dict.fromkeys(found))


def decoded(text: str) -> str:
    """A header's text with its encoded words read; what is damaged stays as it is."""
    try:
        return one_line(str(make_header(decode_header(text))))
    except (LookupError, UnicodeError, ValueError, email.errors.HeaderParseError):
        return one_line(text)


def selected(client: IMAPClient, mailbox: str, validity: int = 0, *, readonly: bool = True) -> int:
    """Open a mailbox; its UIDVALIDITY. Raises NotThere when it is not there, or another one than `validity` means."""
    try:
        found = int(client.select_folder(mailbox, readonly=readonly)[b"UIDVALIDITY"])
    except IMAPClientError as error:
        raise _trouble(error) from None
    if validity and validity != found:
        raise NotThere
    return found


def _trouble(error: IMAPClientError) -> Exception:
    text = str(error)
    return Unavailable("imap", text) if "UNAVAILABLE" in text or "SERVERBUG" in text else NotThere()


def read(client: IMAPClient, place: Place) -> Source:
    """The message there, without its attachments' contents. Raises NotThere, Unavailable."""
    validity = selected(client, place.mailbox, place.validity)
    try:
        found = client.fetch([place.uid], ["BODYSTRUCTURE", "FLAGS", f"BODY.PEEK[HEADER]<0.{MAX_TEXT}>"])[place.uid]
    except KeyError:
        raise NotThere from None
    except IMAPClientError as error:
        raise _trouble(error) from None
    header = email.message_from_bytes(_octets(found, b"BODY[HEADER]"))
    parts = list(structure(found[b"BODYSTRUCTURE"]))
    plain = next((part for part in parts if part.kind == "text/plain" and not part.is_attachment), None)
    html = next((part for part in parts if part.kind == "text/html" and not part.is_attachment), None)
    text, page = "", ""
    if plain is not None:
        text = _text(client, place.uid, plain)
        if plain.parameters.get("format", "").lower() == "flowed":
            text = flowed.unflow(text, delete_space=plain.parameters.get("delsp", "").lower() == "yes")
        text = text.replace("\r\n", "\n")
    if html is not None:
        page = rich.cleaned(_text(client, place.uid, html))
        text = text or rich.text_of(page)
    attachments = tuple(part for part in parts if part is not plain and part is not html)
    return Source(
        Place(place.mailbox, validity, place.uid), header, text, page, attachments, tuple(found.get(b"FLAGS", ()))
    )


def structure(body: Any, prefix: str = "", depth: int = 0) -> Iterator[Part]:
    """The leaves of a BODYSTRUCTURE with their section numbers (RFC 9051 6.4.5); messages inside are not opened."""
    if depth > MAX_DEPTH:
        return
    if isinstance(body[0], list):
        for number, part in enumerate(body[0][:MAX_PARTS], 1):
            yield from structure(part, f"{prefix}{number}.", depth + 1)
        return
    kind = f"{_word(body[0])}/{_word(body[1])}".lower()
    parameters = _pairs(body[2])
    disposition, filename = "", ""
    for extra in body[7:]:
        if isinstance(extra, tuple) and extra and isinstance(extra[0], bytes):
            word = extra[0].lower()
            if word in (b"attachment", b"inline"):
                disposition = word.decode()
                filename = _pairs(extra[1] if len(extra) > 1 else None).get("filename", "")
    name = decoded(filename or parameters.get("name", ""))
    yield Part(
        section=prefix.rstrip(".") or "1",
        kind=kind,
        charset=parameters.get("charset", "us-ascii"),
        name=name or ("message.eml" if kind == "message/rfc822" else ""),
        size=int(body[6] or 0),
        is_attachment=disposition == "attachment" or bool(name) or not kind.startswith("text/"),
        parameters={**parameters, "cte": _word(body[5]).lower()},
    )


def _word(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _pairs(value: object) -> dict[str, str]:
    """Parameters; those in pieces or with a charset (RFC 2231) put together."""
    if not isinstance(value, tuple):
        return {}
    words = [_word(each) for each in value]
    pairs = list(zip(words[::2], words[1::2], strict=False))
    found = {name.lower(): text for name, text in pairs if "*" not in name}
    if any("*" in name for name, _ in pairs):
        line = "; ".join(f'{name}="{text}"' if not name.endswith("*") else f"{name}={text}" for name, text in pairs)
        message = email.message_from_string(f"Content-Type: text/plain; {one_line(line)}\n\n")
        for name in {name.partition("*")[0].lower() for name, _ in pairs if "*" in name}:
            whole = message.get_param(name)
            found[name] = email.utils.collapse_rfc2231_value(whole) if whole is not None else ""
    return found


def _octets(found: dict[bytes, Any], item: bytes) -> bytes:
    """An item that may have been answered with its offset."""
    for key, value in found.items():
        if isinstance(key, bytes) and key.startswith(item) and isinstance(value, bytes):
            return value
    return b""


def _text(client: IMAPClient, uid: int, part: Part) -> str:
    """The text of a part, at most MAX_TEXT octets of it."""
    try:
        found = client.fetch([uid], [f"BODY.PEEK[{part.section}]<0.{MAX_TEXT}>"])[uid]
    except KeyError:
        raise NotThere from None
    except IMAPClientError as error:
        raise _trouble(error) from None
    leaf = email.message_from_bytes(
        f"Content-Transfer-Encoding: {one_line(part.parameters['cte'])}\r\n\r\n".encode()
        + _octets(found, f"BODY[{part.section}]".encode())
    )
    content = leaf.get_payload(decode=True)
    assert isinstance(content, bytes)
    try:
        return content.decode(part.charset, "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


def attachment(client: IMAPClient, place: Place, room: int) -> Attachment:
    """A part of a message, or a whole message, to put into another. Raises NotThere, NotPossible when it is larger than
    `room` octets."""
    selected(client, place.mailbox, place.validity)
    whole = place.section == WHOLE
    body = "BODY.PEEK[]" if whole else f"BODY.PEEK[{place.section}]"
    try:
        facts = client.fetch([place.uid], ["BODYSTRUCTURE", "RFC822.SIZE"])[place.uid]
        part = None
        if not whole:
            part = next((part for part in structure(facts[b"BODYSTRUCTURE"]) if part.section == place.section), None)
            if part is None:
                raise NotThere
        size = int(facts[b"RFC822.SIZE"]) if part is None else part.size
        if size > room:
            raise NotPossible("the attachments are larger than a message may be")
        wanted = (
            [body]
            if whole or ("." not in place.section and _is_single(facts))
            else [body, f"BODY.PEEK[{place.section}.MIME]"]
        )
        if whole:
            wanted.append("BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
        elif len(wanted) == 1:
            wanted.append("BODY.PEEK[HEADER.FIELDS (CONTENT-TYPE CONTENT-TRANSFER-ENCODING CONTENT-DISPOSITION)]")
        found = client.fetch([place.uid], wanted)[place.uid]
    except KeyError:
        raise NotThere from None
    except IMAPClientError as error:
        raise _trouble(error) from None
    content = _lines(found[b"BODY[]"] if whole else found[f"BODY[{place.section}]".encode()])
    if part is None:
        subject = decoded(str(email.message_from_bytes(_octets(found, b"BODY[HEADER.FIELDS")).get("Subject", "")))
        head = b"Content-Type: message/rfc822\r\nContent-Disposition: attachment\r\n\r\n"
        return Attachment(f"{subject or 'message'}.eml", "message/rfc822", size, head + content, str(place))
    mime = _octets(found, f"BODY[{place.section}.MIME]".encode()) or _octets(found, b"BODY[HEADER.FIELDS")
    head = _lines(mime).rstrip(b"\r\n")
    head = head + b"\r\n\r\n" if head else b"\r\n"
    return Attachment(part.name or part.kind, part.kind, decoded_size(part), head + content, str(place))


def _is_single(facts: dict[bytes, Any]) -> bool:
    return not isinstance(facts[b"BODYSTRUCTURE"][0], list)


def decoded_size(part: Part) -> int:
    """About how large the file is."""
    return part.size * 57 // 78 if part.parameters.get("cte") == "base64" else part.size


def _lines(content: bytes) -> bytes:
    """Line ends of messages, whatever stood there: a lone CR would not be taken."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", content)
