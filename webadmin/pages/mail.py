"""Webmail: the messages of a mailbox."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from webadmin.mail.folders import folders, special_of
from webadmin.mail.listing import rows
from webadmin.mail.places import asked_mailbox, link
from webadmin.mail.store import opened
from webadmin.page import MAIL, Page

PAGE = Page("Mail", group=MAIL, order=10)
SHOWN = 50
bp = Blueprint("mail", __name__, url_prefix="/mail")


@bp.get("/")
def index() -> ResponseReturnValue:
    """The newest messages."""
    mailbox = asked_mailbox()
    with opened(mailbox) as store:
        uids, total = store.search([b"ALL"], 0, SHOWN)
        found = rows(store, uids)
        tree = folders(store)
    return render_template(
        "mail/list.html",
        rows=found,
        total=total,
        mailbox=mailbox,
        folders=tree,
        special=special_of(tree, mailbox),
        compose=link("compose.index"),
    )
