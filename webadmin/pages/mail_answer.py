"""Webmail: an invitation is answered, by mail to whoever organises the event."""

from __future__ import annotations

import time

from flask import Blueprint, abort, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import NotPossible, Unavailable
from webadmin.client import client_address
from webadmin.mail import drafts, reading
from webadmin.mail.connections import Mailboxes
from webadmin.mail.identities import identities
from webadmin.mail.invitation_answers import ANSWERS, KEYWORDS, Invitation, invitation, reply
from webadmin.mail.invitations import MAX_CALENDAR
from webadmin.mail.letter import KEY, Letter, octets
from webadmin.mail.once import Once
from webadmin.mail.places import asked_mailbox, asked_uid
from webadmin.mail.recipients import Person
from webadmin.mail.sending import send
from webadmin.mail.store import opened
from webadmin.page import Page
from webadmin.person import backend, person, trusted_proxies

PAGE = Page("Answer")
bp = Blueprint("mail_answer", __name__, url_prefix="/mail/answer")
_once = Once()


@bp.post("")
def index() -> ResponseReturnValue:
    """Send the answer, keep a copy, note it with the invitation."""
    mailbox, uid, answer = asked_mailbox(), asked_uid(), request.form.get("answer", "")
    back = url_for("message.index", mailbox=mailbox, uid=uid)
    key = request.form.get("key", "")
    if answer not in ANSWERS or not KEY.match(key):
        abort(400)
    as_whom = identities()
    with opened(mailbox) as store:
        message = reading.message(store, uid)
        part = message.part(request.form.get("part", ""))
        found = invitation(
            reading.text_of(part, reading.raw(store, uid, part.path.encode(), MAX_CALENDAR)), as_whom.keys()
        )
    if found is None:
        raise NotPossible(gettext("There is no invitation to you in this message."))
    identity = as_whom[found.attendee.lower()]
    letter = _letter(found, answer, key, Person(identity.name, identity.address), message.message_id)
    if _once.begin(person().id, key):
        return redirect(back)
    try:
        now = time.time()
        send(
            backend().run_dir, person(), client_address(trusted_proxies()), octets(letter, now),
            return_path=identity.address, recipients=letter.recipients, utf8=letter.needs_utf8,
        )  # fmt: skip
    except BaseException:
        _once.forget(person().id, key)
        raise
    _once.end(person().id, key, back)
    try:
        mailboxes: Mailboxes = current_app.extensions["gatepost_mailboxes"]
        with mailboxes.of(person(), client_address(trusted_proxies())) as client:
            drafts.keep_sent(client, letter, identity.store, now)
        _note(mailbox, uid, answer)
    except (NotPossible, Unavailable) as problem:
        flash(gettext("The answer is sent, but there is no copy of it: %(detail)s", detail=str(problem)), "problem")
        return redirect(back)
    flash(gettext("Your answer is sent to %(name)s.", name=found.organizer.name or found.organizer.address))
    return redirect(back)


def _letter(found: Invitation, answer: str, key: str, author: Person, message_id: str) -> Letter:
    words = {
        "accept": (gettext("Accepted: %(summary)s", summary=found.summary), gettext("%(name)s comes.", name=author)),
        "tentative": (gettext("Tentative: %(summary)s", summary=found.summary), gettext("%(name)s comes perhaps.", name=author)),
        "decline": (gettext("Declined: %(summary)s", summary=found.summary), gettext("%(name)s does not come.", name=author)),
    }  # fmt: skip
    subject, text = words[answer]
    return Letter(
        key, author, (found.organizer,), subject=subject, text=text, in_reply_to=message_id, references=message_id,
        calendar=reply(found, answer, author.name, time.time()),
    )  # fmt: skip


def _note(mailbox: str, uid: int, answer: str) -> None:
    """With the invitation, where the reader may set flags."""
    with opened(mailbox) as store:
        try:
            others = b" ".join(word.encode() for name, word in KEYWORDS.items() if name != answer)
            store.ask(b"UID STORE", b"%d" % uid, b"-FLAGS.SILENT", b"(" + others + b")")
            store.ask(b"UID STORE", b"%d" % uid, b"+FLAGS.SILENT", b"(\\Answered " + KEYWORDS[answer].encode() + b")")
        except NotPossible:
            return
