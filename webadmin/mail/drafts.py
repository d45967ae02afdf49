"""Drafts and copies of what was sent: messages in the person's own Drafts and Sent, or in a shared mailbox's Sent.

A newer draft is written before the older one goes, so there is always one.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from datetime import UTC, datetime

from imapclient import DELETED, DRAFT, SEEN, IMAPClient
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError
from imapclient.imapclient import DRAFTS, SENT

from webadmin.backend import NotPossible, Unavailable
from webadmin.mail import source
from webadmin.mail.letter import ABOUT, KEY, Attachment, Letter, ids, new_key, octets
from webadmin.mail.source import NotThere, Place, Source

ANSWERED, FORWARDED = "answered", "forwarded"
_FLAGS = {ANSWERED: b"\\Answered", FORWARDED: b"$Forwarded"}
_APPENDED = re.compile(rb"APPENDUID (\d+) (\d+)")
_NAMES = {DRAFTS: "Drafts", SENT: "Sent"}


def folder_of(client: IMAPClient, use: bytes) -> str:
    """The person's mailbox of that special use (RFC 6154), made where there is none. Raises NotPossible."""
    found = client.find_special_folder(use)
    if found is not None:
        return str(found)
    with contextlib.suppress(IMAPClientError):  # it may be there without the mark
        client.create_folder(_NAMES[use])
    return _NAMES[use]


def save(client: IMAPClient, letter: Letter, old: Place | None, now: float) -> Place:
    """Write the letter to Drafts and take the older draft away. Raises NotPossible, Unavailable."""
    folder = folder_of(client, DRAFTS)
    place = put(client, folder, octets(letter, now, hidden=True, draft=True), (DRAFT, SEEN), now)
    if old is not None and old.mailbox == folder:
        remove(client, old)
    return place


def remove(client: IMAPClient, place: Place) -> None:
    """A draft is gone; one that is gone already is no problem."""
    try:
        source.selected(client, place.mailbox, place.validity, readonly=False)
        client.add_flags([place.uid], [DELETED], silent=True)
        client.uid_expunge([place.uid])
    except NotThere:
        return
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:
        raise Unavailable("imap", str(error)) from None


def keep_sent(client: IMAPClient, letter: Letter, store: str, now: float) -> Place:
    """A copy for the author: in the Sent of the shared mailbox `store` where he may write there, else in his own.
    Raises NotPossible, Unavailable."""
    content = octets(letter, now, hidden=True)
    if store:
        with contextlib.suppress(NotPossible):
            return put(client, f"{store}/{_NAMES[SENT]}", content, (SEEN,), now)
    return put(client, folder_of(client, SENT), content, (SEEN,), now)


def put(client: IMAPClient, folder: str, content: bytes, flags: tuple[bytes, ...], now: float) -> Place:
    """A message into a mailbox. Raises NotPossible, Unavailable."""
    try:
        answer = client.append(folder, content, flags, datetime.fromtimestamp(now, UTC))
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:
        text = str(error)
        if "UNAVAILABLE" in text or "SERVERBUG" in text:
            raise Unavailable("imap", text) from None
        raise NotPossible(f"{folder}: {text}") from None
    found = _APPENDED.search(answer if isinstance(answer, bytes) else str(answer).encode())
    if found is None:
        raise Unavailable("imap", "the mail store did not say where it put the message")
    return Place(folder, int(found[1]), int(found[2]))


def mark(client: IMAPClient, about: str) -> None:
    """Say of the message that was answered or forwarded that it is; trouble with it is none of the sender's."""
    word, _, text = about.partition(" ")
    place = Place.of(text)
    if place is None or word not in _FLAGS:
        return
    with contextlib.suppress(NotThere, Unavailable, IMAPClientError):
        source.selected(client, place.mailbox, place.validity, readonly=False)
        client.add_flags([place.uid], [_FLAGS[word]], silent=True)


def resumed(found: Source) -> Letter:
    """A draft, to go on writing; attachments are told, not loaded."""
    authors = found.people("From")
    message_id = "".join(ids(found.field("Message-ID"))[:1])
    key = message_id[1:].partition("@")[0]
    about = found.field(ABOUT)
    try:
        about = bytes.fromhex(about).decode()
    except ValueError:
        about = ""
    return Letter(
        key if KEY.match(key) else new_key(),
        author=authors[0] if authors else None,
        to=found.people("To"),
        cc=found.people("Cc"),
        bcc=found.people("Bcc"),
        subject=found.field("Subject"),
        text=found.text,
        html=found.html,
        attachments=told(found),
        in_reply_to=found.field("In-Reply-To"),
        references=found.field("References"),
        about=about,
    )


def told(found: Source) -> tuple[Attachment, ...]:
    """The attachments of a message by where they lie."""
    return tuple(
        Attachment(
            part.name or part.kind,
            part.kind,
            source.decoded_size(part),
            b"",
            str(replace(found.place, section=part.section)),
        )
        for part in found.attachments
    )


def loaded(client: IMAPClient, places: list[Place], room: int) -> tuple[Attachment, ...]:
    """The attachments that lie there. Raises NotThere, NotPossible when they are larger than `room` octets together."""
    found = []
    for place in places:
        attachment = source.attachment(client, place, room)
        room -= len(attachment.part)
        found.append(attachment)
    return tuple(found)
