"""Webmail: one message, read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from flask import Blueprint, current_app, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, to_user_timezone
from markupsafe import Markup

from webadmin.backend import NotPossible
from webadmin.mail import authentication, dates, reading
from webadmin.mail.folders import folders, special_of
from webadmin.mail.identities import identities
from webadmin.mail.invitation_answers import KEYWORDS, invitation
from webadmin.mail.invitations import MAX_CALENDAR, Event, events
from webadmin.mail.letter import new_key
from webadmin.mail.listing import conversation
from webadmin.mail.places import asked_mailbox, asked_uid, link
from webadmin.mail.plain import html_of
from webadmin.mail.store import Store, opened
from webadmin.mail.structure import Part
from webadmin.page import Page
from webadmin.person import person

PAGE = Page("Message")
bp = Blueprint("message", __name__, url_prefix="/mail/message")

MAX_CALENDARS = 3  # of one message that are read
PREVIEWED = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf"))


@dataclass(frozen=True, slots=True)
class Text:
    """A part of the text, as it is shown: HTML of ours, or the address of a frame."""

    html: Markup
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Attached:
    """A line of the list of attachments."""

    name: str
    type: str
    size: int
    url: str
    preview: str
    is_picture: bool


@dataclass(frozen=True, slots=True)
class Invited:
    """Events of one calendar in the message. `part`: by which they are answered, "" = they are not; `key` makes that once."""

    events: list[Event]
    part: str
    answered: str
    key: str


@bp.get("")
def index() -> ResponseReturnValue:
    """The message, and what may be done with it; it is read from now on."""
    mailbox, uid = asked_mailbox(), asked_uid()
    with opened(mailbox) as store:
        message = reading.message(store, uid)
        prefer_plain = request.args.get("plain") == "1" and message.shown.plain is not None
        if prefer_plain and message.shown.plain is not None:
            message.shown.texts = [message.shown.plain]
        texts = reading.texts(store, message)
        calendars = [reading.raw(store, uid, part.path.encode(), MAX_CALENDAR) for part in message.shown.invitations[:MAX_CALENDARS]]  # fmt: skip
        if not message.has("\\Seen"):
            _mark_seen(store, uid)
        tree = folders(store)
        folder = next((each for each in tree if each.name == mailbox), None)
        others = conversation(store, person().id, folder, uid) if session.get("threads") and folder else []
    own = current_app.extensions["gatepost_hostname"]
    as_whom = identities() if calendars else {}
    return render_template(
        "mail/message.html",
        message=message,
        mailbox=mailbox,
        folders=tree,
        special=special_of(tree, mailbox),
        texts=[_text(part, texts, mailbox, uid) for part in message.shown.texts[: reading.MAX_TEXTS]],
        invitations=[
            _invited(part, reading.text_of(part, data), as_whom, message)
            for part, data in zip(message.shown.invitations, calendars, strict=False)
        ],
        conversation=others,
        day=lambda when: dates.short(to_user_timezone(when), to_user_timezone(reading.now())),
        attached=[_attached(part, number, mailbox, uid) for number, part in enumerate(message.shown.attached, 1)],
        findings=authentication.findings(message.header.get("authentication-results", ()), own),
        when=dates.long(message.sent or message.arrived),
        links={
            "reply": link("compose.index", reply=uid, mailbox=mailbox),
            "reply_all": link("compose.index", reply_all=uid, mailbox=mailbox),
            "forward": link("compose.index", forward=uid, mailbox=mailbox),
            "draft": link("compose.index", draft=uid, mailbox=mailbox),
            "source": link("mail_parts.source", mailbox=mailbox, uid=uid),
            "save": link("mail_parts.save", mailbox=mailbox, uid=uid),
            "zip": link("mail_parts.archive", mailbox=mailbox, uid=uid),
            "print": url_for("message.printed", mailbox=mailbox, uid=uid),
        },
    )


@bp.get("/print")
def printed() -> ResponseReturnValue:
    """The message on paper: no menu, quotes unfolded."""
    mailbox, uid = asked_mailbox(), asked_uid()
    with opened(mailbox) as store:
        message = reading.message(store, uid)
        texts = reading.texts(store, message)
    return render_template(
        "mail/printed.html",
        message=message,
        mailbox=mailbox,
        texts=[_text(part, texts, mailbox, uid) for part in message.shown.texts[: reading.MAX_TEXTS]],
        attached=[_attached(part, number, mailbox, uid) for number, part in enumerate(message.shown.attached, 1)],
        when=dates.long(message.sent or message.arrived),
    )


def _invited(part: Part, calendar: str, own: Collection[str], message: reading.Message) -> Invited:
    can_answer = invitation(calendar, own) is not None
    answered = next((answer for answer, keyword in KEYWORDS.items() if message.has(keyword)), "")
    return Invited(events(calendar), part.path if can_answer else "", answered, new_key())


def _mark_seen(store: Store, uid: int) -> None:
    """Where the reader may set flags; in a mailbox that he may only look into it stays as it is."""
    try:
        store.ask(b"UID STORE", b"%d" % uid, b"+FLAGS.SILENT", b"(\\Seen)")
    except NotPossible:
        return


def _text(part: Part, texts: dict[str, str], mailbox: str, uid: int) -> Text:
    if part.type == "text/plain":
        return Text(html_of(texts.get(part.path, ""), gettext("Quoted text")))
    remote = "1" if request.args.get("images") == "1" else None
    return Text(Markup(), url_for("mail_parts.frame", mailbox=mailbox, uid=uid, part=part.path, images=remote))


def _attached(part: Part, number: int, mailbox: str, uid: int) -> Attached:
    url = url_for("mail_parts.part", mailbox=mailbox, uid=uid, part=part.path)
    can_preview = part.type in PREVIEWED
    return Attached(
        part.file_name
        or (gettext("Invitation") if part.type == "text/calendar" else gettext("Part %(number)s", number=number)),
        part.type,
        part.decoded_size,
        url,
        url_for("mail_parts.part", mailbox=mailbox, uid=uid, part=part.path, inline=1) if can_preview else "",
        can_preview and part.type.startswith("image/"),
    )
