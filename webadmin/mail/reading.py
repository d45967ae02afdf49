"""One message: its fields, its parts, and what of them is shown. Only what is shown is fetched, and that is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import abort

from gateway.mime.encoded import charset_text, guessed_text
from gateway.mime.fields import unfolded
from gateway.mime.parameters import parameter
from gateway.mime.transfer import Decoder, UnknownEncoding, decoder
from webadmin.mail.addresses import Address, addresses, header_text
from webadmin.mail.answers import Value, number, octets, words
from webadmin.mail.dates import from_internal, from_sent
from webadmin.mail.labels import labels_of
from webadmin.mail.plain import flowed
from webadmin.mail.store import Store
from webadmin.mail.structure import Part, Shown, shown, structure

MAX_TEXT = 1 << 20  # octets of a part that are shown
MAX_TEXTS = 20  # parts of text that are shown
CHUNK = 1 << 20
_HEADER = b"BODY.PEEK[HEADER.FIELDS (AUTHENTICATION-RESULTS LIST-ID LIST-UNSUBSCRIBE LIST-UNSUBSCRIBE-POST IMPORTANCE X-PRIORITY REPLY-TO SENDER)]"  # fmt: skip
_ITEMS = b"(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE " + _HEADER + b")"


@dataclass(slots=True)
class Message:
    """A message as it is read."""

    uid: int
    flags: frozenset[str]
    labels: list[str]
    arrived: datetime
    sent: datetime | None
    size: int
    subject: str
    authors: list[Address]
    sender: list[Address]
    reply_to: list[Address]
    to: list[Address]
    cc: list[Address]
    bcc: list[Address]
    message_id: str
    root: Part
    shown: Shown
    header: dict[str, list[bytes]]

    def has(self, flag: str) -> bool:
        """True when it has the flag."""
        return flag.lower() in self.flags

    def part(self, path: str) -> Part:
        """The part of this name; 404 when there is none."""
        found = next((each for each in self.root.walk() if each.path == path and not each.children), None)
        if found is None:
            abort(404)
        return found


def flag_names(value: Value) -> frozenset[str]:
    """Flags in lower case."""
    return frozenset(each.decode("ascii", "replace").lower() for each in words(value))


def message(store: Store, uid: int) -> Message:
    """The message of this UID in the mailbox that is looked at; 404 when it is not there."""
    items = store.fetch([uid], _ITEMS).get(uid)
    if items is None or not isinstance(items.get(b"ENVELOPE"), list):
        abort(404)
    envelope = items[b"ENVELOPE"]
    assert isinstance(envelope, list)
    row: list[Value] = [*envelope, *[None] * 10]
    root = structure(items.get(b"BODYSTRUCTURE"))
    raw = next((octets(value) for name, value in items.items() if name.startswith(b"BODY[HEADER")), b"")
    header: dict[str, list[bytes]] = {}
    for name, value in unfolded(raw.replace(b"\r\n", b"\n")):
        header.setdefault(name.decode("ascii", "replace").lower(), []).append(value)
    return Message(
        uid,
        flag_names(items.get(b"FLAGS")),
        labels_of(items.get(b"FLAGS")),
        from_internal(octets(items.get(b"INTERNALDATE"))),
        from_sent(octets(row[0])),
        number(items.get(b"RFC822.SIZE")),
        header_text(octets(row[1])),
        addresses(row[2]),
        addresses(row[3]),
        addresses(row[4]),
        addresses(row[5]),
        addresses(row[6]),
        addresses(row[7]),
        header_text(octets(row[9])),
        root,
        shown(root),
        header,
    )


def raw(store: Store, uid: int, section: bytes, most: int) -> bytes:
    """At most `most` octets of a section; 404 when the message is gone."""
    label = b"BODY[" + section + b"]<0>"
    items = store.fetch([uid], b"(UID BODY.PEEK[" + section + b"]<0.%d>)" % most).get(uid)
    if items is None:
        abort(404)
    return octets(items.get(label))


def _decoder(part: Part) -> Decoder:
    try:
        return decoder(part.encoding.encode())
    except UnknownEncoding:
        return decoder(b"binary")


def decoded(part: Part, data: bytes) -> bytes:
    """A part's octets without its transfer encoding."""
    taker = _decoder(part)
    return taker.feed(data.replace(b"\r\n", b"\n")) + taker.end()


def pieces(store: Store, uid: int, part: Part | None, size: int) -> Iterator[bytes]:
    """A part without its transfer encoding, or the message as it is, piece by piece. `size` is that of what is read.

    Raises OSError when the message goes away meanwhile, so that what is cut off is not taken for the whole.
    """
    section = part.path.encode() if part is not None else b""
    taker = _decoder(part) if part is not None and part.encoding in ("base64", "quoted-printable") else None
    at = 0
    held = b""
    while at < size:
        items = store.fetch([uid], b"(UID BODY.PEEK[%b]<%d.%d>)" % (section, at, CHUNK)).get(uid)
        piece = octets((items or {}).get(b"BODY[%b]<%d>" % (section, at)))
        if not piece:
            if at == 0 and items is not None:
                return
            raise OSError("the message is gone")
        at += len(piece)
        if taker is None:
            yield piece
            continue
        piece = held + piece
        held = b"\r" if piece.endswith(b"\r") else b""
        yield taker.feed(piece[: len(piece) - len(held)].replace(b"\r\n", b"\n"))
    if taker is not None:
        yield taker.end()


def text_of(part: Part, data: bytes) -> str:
    """The text of a part whose encoded octets are `data`."""
    found = decoded(part, data)
    if part.type == "text/html":
        return html_text(part, found)
    text = charset_text(found, part.charset) if part.charset else guessed_text(found)
    if (parameter(part.parameters, b"format") or b"").lower() == b"flowed":
        delsp = (parameter(part.parameters, b"delsp") or b"").lower() == b"yes"
        text = flowed(text.replace("\r\n", "\n"), without_space=delsp)
    return text


def html_text(part: Part, data: bytes) -> str:
    """HTML as text; where the header names no charset, the document may."""
    if part.charset:
        return charset_text(data, part.charset)
    return guessed_text(data)


def texts(store: Store, message: Message, *, html_too: bool = False) -> dict[str, str]:
    """The text of each part that is shown as plain text (with `html_too` of all that are shown), by the part's name."""
    wanted = [part for part in message.shown.texts[:MAX_TEXTS] if html_too or part.type == "text/plain"]
    if not wanted:
        return {}
    items = b" ".join(b"BODY.PEEK[%b]<0.%d>" % (part.path.encode(), MAX_TEXT) for part in wanted)
    found = store.fetch([message.uid], b"(UID " + items + b")").get(message.uid)
    if found is None:
        abort(404)
    return {part.path: text_of(part, octets(found.get(b"BODY[%b]<0>" % part.path.encode()))) for part in wanted}


def now() -> datetime:
    """The clock."""
    return datetime.now(UTC)
