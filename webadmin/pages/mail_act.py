"""Webmail: what is done with messages that were chosen."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import NotPossible
from webadmin.mail.acting import LEAVING, act
from webadmin.mail.folders import folders
from webadmin.mail.places import MAX_SELECTED, asked_mailbox, asked_uids
from webadmin.mail.searching import keys_of
from webadmin.mail.store import opened
from webadmin.page import Page
from webadmin.pages.login import safe_target

PAGE = Page("Act")
bp = Blueprint("mail_act", __name__, url_prefix="/mail/act")


@bp.post("")
def index() -> ResponseReturnValue:
    """Do it, and back to where he was: `back`, or the mailbox."""
    mailbox = asked_mailbox()
    what, uids = request.form.get("do", ""), asked_uids()
    star = request.form.get("star", "")
    if star:  # the star of one row, whatever else is chosen
        what, _, chosen = star.partition(":")
        uids = [int(word) for word in chosen.split(",")[:1] if word.isdigit() and len(word) < 11]
    problem = ""
    said = ""
    with opened(mailbox) as store:
        if request.form.get("everything") == "1" and not star:
            uids = store.uids(keys_of(request.form.get("q", "")))
            if len(uids) > MAX_SELECTED:
                problem = gettext("That is too many messages at once: at most %(most)s.", most=MAX_SELECTED)
        if not problem:
            try:
                said = act(store, folders(store), mailbox, uids, what, request.form.get("to", ""), request.form.get("label", ""))  # fmt: skip
            except NotPossible as error:
                problem = str(error)
    if problem:
        flash(problem, "problem")
    elif said:
        flash(said)
    back = request.form.get("back", "")
    if not back or (what in LEAVING and not problem and back.startswith("/mail/message")):
        return redirect(url_for("mail.index", mailbox=mailbox))
    return redirect(safe_target(back))
