"""The first page: where people go who are logged in."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from webadmin.page import Page
from webadmin.person import person

PAGE = Page("Home")
bp = Blueprint("home", __name__)


@bp.get("/")
def index() -> ResponseReturnValue:
    """To the mail of whoever has some, else to what he may administer."""
    from webadmin import menu

    who = person()
    if who.uses("webmail") and who.uses("imap"):
        return redirect(url_for("mail.index"))
    groups = menu.of(who)
    return redirect(groups[0][1][0].url) if groups else redirect(url_for("session.bye"))
