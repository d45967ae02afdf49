"""The list's copy of a message: what a list changes in the header, and nothing else (RFC 2369, 2919; RFC 5598 5.3).

Fields of the list are put behind the others, so that a signature over what is not changed stays valid; fields of
other lists (`List-…`) go, as does `Precedence`. Nothing in the copy depends on the member: members with a store
here share one file. Text is LF; the body is never touched.

`X-Loop` names every list that a message went through; a list that finds its own name there, or its own List-Id, has
seen the message before.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from directory.model import InvalidAddress, MailingList, canonical_address
from gateway.lists.addresses import OWNER, REQUEST, list_address, service_address
from gateway.mail.address_list import AddressProblem, addresses
from gateway.mail.header import Field, Header, scan_pieces
from gateway.mime.encoded import decode_header_text

MAX_TAG = 200  # characters of a subject tag that are used
_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?\Z")
_BRACKETS = re.compile(rb"<([^<>]*)>")
_PLAIN = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]*\Z")
_WORD_OCTETS = 45  # of UTF-8 in one encoded word: with its frame it stays below 75 characters (RFC 2047 2)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What is decided for one message, not for one list. `own_from`: the author's domain demands that nobody else
    sends as him (DMARC), so the list puts its own address into From and the author into Reply-To. `web`: where the web
    front end is, "" = nowhere. `leave`: where one member leaves the list by one click (RFC 8058), for his own copy."""

    own_from: bool = False
    web: str = ""
    leave: str = ""


#: the author stays in From
AS_IT_IS = Rewriting()


def list_id(mailing_list: MailingList) -> str:
    """The List-Id (RFC 2919 3) without brackets; "" for a list without address."""
    wanted = (mailing_list.list_id or "").strip().strip("<>")
    if _ID.match(wanted) and "." in wanted:
        return wanted.lower()
    address = list_address(mailing_list)
    if address is None:
        return ""
    local, _, domain = address.rpartition("@")
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", local).strip("-") or "list"
    return f"{safe}.{domain}".lower()


def has_seen(header: Header, mailing_list: MailingList) -> bool:
    """True when the message has been through this list already."""
    address, own = list_address(mailing_list), list_id(mailing_list)
    if address is None:
        return False
    for field in header.all(b"x-loop"):
        if header.unfolded(field).decode("utf-8", "replace").strip("<>").lower() == address:
            return True
    for field in header.all(b"list-id"):
        match = _BRACKETS.search(header.unfolded(field))
        value = match[1] if match else header.unfolded(field)
        if value.strip().decode("latin-1").lower() == own:
            return True
    return False


def copied(pieces: Iterable[bytes], mailing_list: MailingList, how: Rewriting) -> Iterator[bytes]:
    """The list's copy of a message in pieces. Raises HeaderProblem for a header over a limit."""
    source = iter(pieces)
    yield from rewritten(scan_pieces(source), mailing_list, how)
    yield from source


def rewritten(header: Header, mailing_list: MailingList, how: Rewriting) -> list[bytes]:
    """The content of `header` as the list sends it, in pieces."""
    replaced = _replaced(header, mailing_list, how)
    content, pieces, position = header.content, [], 0
    for field in header.fields:
        new = replaced.get(field.start)
        if new is None and not _is_foreign(field.name):
            continue
        pieces += [content[position : field.start], new or b""]
        position = field.end
    pieces.append(content[position : header.end])
    if header.end and content[header.end - 1 : header.end] != b"\n":
        pieces.append(b"\n")
    pieces += [_own_fields(header, mailing_list, how), content[header.end :]]
    return [piece for piece in pieces if piece]


def _is_foreign(name: bytes) -> bool:
    return name.startswith(b"list-") or name == b"precedence"


def _replaced(header: Header, mailing_list: MailingList, how: Rewriting) -> dict[int, bytes]:
    """New octets of fields that are changed, by where they begin; b"" takes the field away."""
    found: dict[int, bytes] = {}
    for field in header.all(b"subject")[:1]:
        tagged = _tagged(header, field, mailing_list)
        if tagged is not None:
            found[field.start] = tagged
    if how.own_from and list_address(mailing_list) is not None:
        fields = header.all(b"from")
        found.update({field.start: b"" for field in fields})
        if fields:
            found[fields[0].start] = _own_from(header, fields[0], mailing_list)
        # a Sender of the author's domain beside the list's From would be one more claim that cannot be proven
        found.update({field.start: b"" for field in header.all(b"sender")})
    if _reply_to(header, mailing_list, how) is not None:
        found.update({field.start: b"" for field in header.all(b"reply-to")})
    return found


def _clean(text: str) -> str:
    """One line of text without what could end or fake a field."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:MAX_TAG]


# -- Subject --


def _tag(mailing_list: MailingList) -> str:
    return _clean(mailing_list.subject_tag or "")


def _tagged(header: Header, field: Field, mailing_list: MailingList) -> bytes | None:
    """The Subject with the list's tag in front; None when it is there already, behind a "Re:" or anywhere else."""
    tag = _tag(mailing_list)
    if not tag or tag.casefold() in decode_header_text(header.unfolded(field)).casefold():
        return None
    rest = header.content[field.value : field.end].lstrip(b" \t")
    if tag.isascii():
        return b"Subject: " + tag.encode("ascii") + b" " + (rest or b"\n")
    # space between two encoded words is not shown (RFC 2047 6.2): the one behind the tag is part of it
    return b"Subject: " + _encoded(f"{tag} ") + (b"\n " + rest if rest.strip() else b"\n")


def _encoded(text: str) -> bytes:
    """Encoded words (RFC 2047), folded, never cut inside a character."""
    words, waiting = [], b""
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(waiting) + len(octets) > _WORD_OCTETS:
            words.append(waiting)
            waiting = b""
        waiting += octets
    words.append(waiting)
    return b"\n ".join(b"=?utf-8?B?" + b64encode(word) + b"?=" for word in words if word)


def _phrase(text: str) -> bytes:
    """A display name as it stands before an address in angle brackets, with the space behind it; b"" for none."""
    text = _clean(text)
    if not text:
        return b""
    if not text.isascii():
        return _encoded(text) + b" "
    if _PLAIN.match(text):
        return text.encode("ascii") + b" "
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'" '


# -- From and Reply-To --


def _own_from(header: Header, field: Field, mailing_list: MailingList) -> bytes:
    value = header.unfolded(field)
    text = decode_header_text(value)
    name = text.partition("<")[0].strip().strip('"').strip()
    if not name or "@" in name:
        name = _author(value).rpartition("@")[0] or "somebody"
    list_name = mailing_list.display_name or (list_address(mailing_list) or "").rpartition("@")[0]
    return b"From: " + _phrase(f"{name} via {list_name}") + b"<" + (list_address(mailing_list) or "").encode() + b">\n"


def _author(value: bytes) -> str:
    try:
        found = addresses(value)
    except AddressProblem:
        return ""
    return found[0] if found else ""


def _reply_to(header: Header, mailing_list: MailingList, how: Rewriting) -> bytes | None:
    """The value of Reply-To in the copy, None where the author's own stays as it is."""
    wanted = (mailing_list.reply_to or "sender").strip().lower()
    if wanted == "list":
        address = list_address(mailing_list)
        return address.encode() if address else None
    if "@" in wanted:
        try:
            return str(canonical_address(wanted)).encode()
        except InvalidAddress:  # somebody's typing error leaves the author's own
            return None
    if how.own_from and not header.has(b"reply-to"):
        for field in header.all(b"from")[:1]:
            return header.content[field.value : field.end].strip()
    return None


# -- the list's own fields --


def _own_fields(header: Header, mailing_list: MailingList, how: Rewriting) -> bytes:
    lines = []
    reply_to = _reply_to(header, mailing_list, how)
    if reply_to is not None:
        lines.append(b"Reply-To: " + reply_to)
    if how.own_from:
        lines += [
            b"X-Original-From: " + header.content[field.value : field.end].strip() for field in header.all(b"from")[:1]
        ]
    if not header.has(b"subject") and (tag := _tag(mailing_list)):
        lines.append(b"Subject: " + (tag.encode("ascii") if tag.isascii() else _encoded(tag)))
    address = list_address(mailing_list)
    if address is not None:
        name = mailing_list.display_name or ""
        lines.append(b"List-Id: " + _phrase(name) + b"<" + list_id(mailing_list).encode() + b">")
        lines.append(b"List-Post: " + _mailto(address))
        owner = service_address(mailing_list, OWNER)
        if owner and (mailing_list.owners or mailing_list.owner_addresses):
            lines.append(b"List-Owner: " + _mailto(owner))
        request = service_address(mailing_list, REQUEST)
        if request and mailing_list.subscription != "closed":
            lines.append(b"List-Help: " + _mailto(request, "help"))
            lines.append(b"List-Subscribe: " + _mailto(request, "subscribe"))
            lines.append(b"List-Unsubscribe: " + b", ".join(_ways_out(address, request, how)))
            if how.leave:
                lines.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click")
        lines.append(b"X-Loop: " + address.encode())
    lines.append(b"Precedence: list")  # automatic answers of old programs, which know no Auto-Submitted
    return b"".join(line + b"\n" for line in lines)


def _ways_out(address: str, request: str, how: Rewriting) -> Iterator[bytes]:
    """How to leave: by the member's own address of the web front end, by mail, by its page behind a login."""
    if how.leave:
        yield b"<" + how.leave.encode() + b">"
    yield _mailto(request, "unsubscribe")
    if how.web and not how.leave:
        yield b"<" + f"{how.web}/lists/?list={quote(address, safe='')}".encode() + b">"


def _mailto(address: str, subject: str = "") -> bytes:
    local, _, domain = address.rpartition("@")
    safe = "".join(c if c.isalnum() or c in "-._~!$'*+" else "".join(f"%{o:02X}" for o in c.encode()) for c in local)
    return f"<mailto:{safe}@{domain}{'?subject=' + subject if subject else ''}>".encode()
