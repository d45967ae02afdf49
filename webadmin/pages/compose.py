"""Webmail: writing a message, sending it, taking it back."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from flask import Blueprint, current_app, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_datetime, gettext
from imapclient import DRAFT, SEEN, IMAPClient
from imapclient.imapclient import DRAFTS

from webadmin.backend import OWNER_SOCKET, NotPossible, Unavailable
from webadmin.client import client_address
from webadmin.mail import beginnings, drafts, rich, source
from webadmin.mail.compose_form import MAX_ATTACHMENTS, ComposeForm, Identity
from webadmin.mail.connections import Mailboxes
from webadmin.mail.identities import identities as may_write_as
from webadmin.mail.letter import Letter, new_key, octets, uploaded
from webadmin.mail.once import Once
from webadmin.mail.sending import RecipientsRefused, Sent, send
from webadmin.mail.source import Place
from webadmin.page import MAIL, Page
from webadmin.person import ask, backend, person, trusted_proxies
from webadmin.preferences import Preferences, preferences
from webadmin.shown import readable

PAGE = Page("New message", group=MAIL, order=5)
MAX_UID = 10  # digits
LOOKED_UP = 8
bp = Blueprint("compose", __name__, url_prefix="/compose")
_once = Once()


def _connection() -> Any:
    mailboxes: Mailboxes = current_app.extensions["gatepost_mailboxes"]
    return mailboxes.of(person(), client_address(trusted_proxies()))


def _room() -> int:
    """Octets of a message at most."""
    most: int = current_app.extensions["gatepost_settings"].max_request
    return most


def _shown(form: ComposeForm, identities: dict[str, Identity], code: int = 200) -> ResponseReturnValue:
    if form.author.lower() not in identities:
        form.author = next(iter(identities), "")
    return render_template("compose/form.html", form=form, identities=identities.values(), room=_room()), code


@bp.get("")
def index() -> ResponseReturnValue:
    """The form, empty or with what is answered, passed on or gone on with."""
    identities = may_write_as()
    if (text := request.args.get("draft", "")) and (place := _named(text)):
        with _connection() as client:
            letter = drafts.resumed(found := source.read(client, place))
        return _shown(ComposeForm.of(letter, found.place), identities)
    chosen = preferences()
    for way in ("reply", "reply_all", "forward", "forward_attached"):
        if (text := request.args.get(way, "")) and (place := _named(text)):
            with _connection() as client:
                found = source.read(client, place)
            letter = _begun(way, found, frozenset(identities), rich_text=chosen.rich_text)
            return _shown(ComposeForm.of(_signed(letter, chosen)), identities)
    form = ComposeForm.of(_signed(Letter(new_key(), html="<div><br></div>" if chosen.rich_text else ""), chosen))
    for name in ("to", "cc", "bcc", "subject"):
        setattr(form, name, request.args.get(name, "")[:1000])
    if body := request.args.get("body", "")[:10_000]:
        form.text, form.html = body + form.text, ""
    return _shown(form, identities)


def _named(uid: str) -> Place | None:
    """The message that a link means."""
    if not uid.isdecimal() or len(uid) > MAX_UID:
        return None
    return Place(request.args.get("mailbox", "INBOX")[:1000], 0, int(uid))


def _begun(way: str, found: source.Source, authors: frozenset[str], *, rich_text: bool) -> Letter:
    """`authors`: as whom he may write, of which some are others' addresses too."""
    if way in ("reply", "reply_all"):
        author = next(iter(found.people("From")), None)
        name = (author.name or readable(author.address)) if author is not None else gettext("somebody")
        try:
            moment = parsedate_to_datetime(found.field("Date"))
            written = gettext("On %(date)s, %(name)s wrote:", date=format_datetime(moment, "medium"), name=name)
        except (ValueError, TypeError, OverflowError):
            written = gettext("%(name)s wrote:", name=name)
        own = frozenset(address.lower() for address in person().addresses)
        return beginnings.answer(found, own, authors, written, everybody=way == "reply_all", rich_text=rich_text)
    labels = {
        "begin": gettext("---------- Forwarded message ----------"),
        "From": gettext("From"),
        "Date": gettext("Date"),
        "Subject": gettext("Subject"),
        "To": gettext("To"),
        "Cc": gettext("Cc"),
    }
    return beginnings.passed_on(found, authors, labels, attached=way == "forward_attached", rich_text=rich_text)


def _signed(letter: Letter, chosen: Preferences) -> Letter:
    """With the signature above what is quoted."""
    if not chosen.signature:
        return letter
    text = f"\n\n-- \n{chosen.signature.strip()}\n{letter.text}"
    html = letter.html and f"<div><br></div><div>-- <br></div>{rich.html_of(chosen.signature.strip())}{letter.html}"
    return replace(letter, text=text, html=html)


@bp.post("")
def act() -> ResponseReturnValue:
    """Send, save, attach or throw away: the button says which."""
    form = ComposeForm.sent(request.form)
    what = request.form.get("do", "save")
    if what == "discard":
        return _discard(form)
    identities = may_write_as()
    try:
        with _connection() as client:
            _take_attachments(client, form)
            if what == "send":
                return redirect(_send(client, form, identities))
            return _saved(client, form, identities)
    except (NotPossible, Unavailable) as problem:
        form.problems.setdefault("form", _words(problem))
        if _wants_json():
            return jsonify(problem=form.problems["form"]), 503 if isinstance(problem, Unavailable) else 409
        return _shown(form, identities, 503 if isinstance(problem, Unavailable) else 409)


def _words(problem: NotPossible | Unavailable) -> str:
    """What went wrong, for the form."""
    if isinstance(problem, RecipientsRefused):
        text = gettext("Nothing was sent, because these recipients were refused:")
        return f"{text} {'; '.join(f'{readable(who)} ({why})' for who, why in problem.refused.items())}"
    if isinstance(problem, Unavailable):
        if problem.part == "imap":
            return str(gettext("The mail store does not answer: %(detail)s", detail=str(problem)))
        return str(gettext("Sending does not work at the moment, try again later: %(detail)s", detail=str(problem)))
    return str(problem)


def _wants_json() -> bool:
    return request.accept_mimetypes.best == "application/json"


def _take_attachments(client: IMAPClient, form: ComposeForm) -> None:
    """Those that lie among the person's messages, and files that came with the form."""
    room = _room() * 3 // 4  # files grow by a third on their way
    found = list(drafts.loaded(client, form.places, room))
    files = [file for file in request.files.getlist("files") if file.filename]
    found.extend(uploaded(file.filename or "", file.mimetype or "", file.read()) for file in files)
    if len(found) > MAX_ATTACHMENTS:
        raise NotPossible(gettext("A message takes %(number)s attachments at most.", number=MAX_ATTACHMENTS))
    form.attachments = tuple(found)


def _saved(client: IMAPClient, form: ComposeForm, identities: dict[str, Identity]) -> ResponseReturnValue:
    letter = form.letter(identities)
    if not form.problems or _wants_json() or form.attachments:
        form.draft = _draft(client, letter, form)
    if _wants_json():
        parts = [{"place": one.place, "name": one.name, "size": one.size} for one in form.attachments]
        moment = format_datetime(format="HH:mm")
        told = gettext("Draft saved at %(time)s.", time=moment)
        return jsonify(draft=str(form.draft), attachments=parts, told=told, problems=form.problems)
    if not form.problems and request.form.get("do") == "save":
        flash(gettext("The draft is saved."))
    return _shown(form, identities)


def _draft(client: IMAPClient, letter: Letter, form: ComposeForm) -> Place:
    """Write the draft; from then on its attachments lie in it."""
    place = drafts.save(client, letter, form.draft, time.time())
    if form.attachments:
        told = drafts.told(source.read(client, place))
        form.attachments = tuple(
            replace(one, place=there.place) for one, there in zip(form.attachments, told, strict=True)
        )
    return place


def _send(client: IMAPClient, form: ComposeForm, identities: dict[str, Identity]) -> str:
    """Send it; where its sender is led. Raises NotPossible, Unavailable with the draft saved where that was possible."""
    who = person()
    letter = form.letter(identities)
    now = time.time()
    try:
        moment = form.moment()
        if moment and moment <= now:
            form.problems["later"] = gettext("That moment has passed.")
    except ValueError:
        moment, form.problems["later"] = 0.0, gettext("That is no date and time.")
    if not form.problems and not letter.recipients:
        form.problems["to"] = gettext("Nobody is named whom it should go to.")
    if form.problems:
        raise NotPossible(gettext("Nothing was sent: something in the form is not right."))
    if form.author and form.author.lower() not in identities:
        raise NotPossible(gettext("You may not write as %(address)s.", address=readable(form.author)))
    before = _once.begin(who.id, form.key)
    if before:
        return before
    try:
        sent = _hand_in(letter, moment, now)
    except BaseException as problem:
        _once.forget(who.id, form.key)
        if isinstance(problem, NotPossible | Unavailable):
            with contextlib.suppress(NotPossible, Unavailable):
                form.draft = _draft(client, letter, form)
        raise
    led_to = _after(client, form, letter, sent, identities, moment)
    _once.end(who.id, form.key, led_to)
    return led_to


def _hand_in(letter: Letter, moment: float, now: float) -> Sent:
    message = octets(letter, now)
    assert letter.author is not None
    return send(
        backend().run_dir,
        person(),
        client_address(trusted_proxies()),
        message,
        return_path=letter.author.address,
        recipients=letter.recipients,
        utf8=letter.needs_utf8,
        receipt=letter.wants_receipt,
        hold_seconds=preferences().undo_seconds,
        hold_until=moment,
    )


def _after(
    client: IMAPClient, form: ComposeForm, letter: Letter, sent: Sent, identities: dict[str, Identity], moment: float
) -> str:
    """It is sent: keep a copy, mark what it answers, take the draft away. Trouble with that sends nothing twice."""
    copy = None
    try:
        author = identities[letter.author.address.lower()] if letter.author is not None else None
        copy = drafts.keep_sent(client, letter, author.store if author is not None else "", time.time())
        if letter.about:
            drafts.mark(client, letter.about)
        if form.draft is not None:
            drafts.remove(client, form.draft)
    except (NotPossible, Unavailable) as problem:
        flash(gettext("The message is sent, but there is no copy of it: %(detail)s", detail=str(problem)), "problem")
    if not sent.is_held:
        flash(gettext("The message is sent."))
        return url_for("mail.index")
    until = moment or time.time() + preferences().undo_seconds
    return url_for("compose.sent", message=sent.id, copy=str(copy) if copy is not None else None, until=int(until))


@bp.get("/sent")
def sent() -> ResponseReturnValue:
    """It waits for its moment, and can be taken back until then."""
    until = request.args.get("until", "")
    moment = int(until) if until.isdecimal() and len(until) < 12 else 0
    left = max(0, moment - int(time.time()))
    return render_template(
        "compose/sent.html",
        message=request.args.get("message", "")[:100],
        copy=request.args.get("copy", "")[:1200],
        moment=moment,
        left=left,
        shown=format_datetime(datetime.fromtimestamp(moment, UTC), "medium"),
    )


@bp.post("/undo")
def undo() -> ResponseReturnValue:
    """Take a message back that waits, and open it as a draft."""
    ask("own-queue-drop", socket=OWNER_SOCKET, message=request.form.get("message", "")[:100])
    copy = Place.of(request.form.get("copy", ""))
    if copy is None:
        flash(gettext("The message was taken back."))
        return redirect(url_for("mail.index"))
    with _connection() as client:
        found = source.read(client, copy)
        letter = drafts.resumed(found)
        _once.forget(person().id, letter.key)
        content = client.fetch([copy.uid], ["BODY.PEEK[]"])[copy.uid][b"BODY[]"]
        place = drafts.put(client, drafts.folder_of(client, DRAFTS), content, (DRAFT, SEEN), time.time())
        drafts.remove(client, copy)
    flash(gettext("The message was taken back. It is a draft again."))
    return redirect(url_for("compose.index", draft=place.uid, mailbox=place.mailbox))


def _discard(form: ComposeForm) -> ResponseReturnValue:
    if form.draft is not None:
        with _connection() as client:
            if form.draft.mailbox == drafts.folder_of(client, DRAFTS):
                drafts.remove(client, form.draft)
    flash(gettext("The draft was thrown away."))
    return redirect(url_for("mail.index"))


@bp.get("/people")
def people() -> ResponseReturnValue:
    """Whom the directory knows under what is being typed."""
    found = ask("address-book", text=request.args.get("q", "")[:200], limit=LOOKED_UP)
    return jsonify([{"name": one["name"], "address": readable(one["address"]), "kind": one["kind"]} for one in found])
