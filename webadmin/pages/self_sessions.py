"""Self-service: where one is signed in, and from where one was."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.page import SELF, Page
from webadmin.person import ask

PAGE = Page("Sign-ins", group=SELF, order=60)
bp = Blueprint("self_sessions", __name__, url_prefix="/self/sessions")


@bp.get("")
def index() -> ResponseReturnValue:
    """Web sessions, and places of logins of the last 30 days."""
    return render_template("self/sessions.html", sessions=ask("session-list"), logins=ask("own-logins"))


@bp.post("")
def end() -> ResponseReturnValue:
    """End one, or all but this one."""
    ended = ask("session-end", id=request.form.get("id", "")[:40] or "-")
    flash(gettext("%(number)s sessions are ended.", number=ended))
    return redirect(url_for("self_sessions.index"))
