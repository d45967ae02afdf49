"""Self-service: a new password."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.page import SELF, Page
from webadmin.passwords import policy, set_password
from webadmin.person import ask, person

PAGE = Page("Password", group=SELF, order=10)
bp = Blueprint("self_password", __name__, url_prefix="/self/password")


def _page(problem: str = "") -> str:
    return render_template("self/password.html", told=policy(), problem=problem, forced=False, login="", to="")


@bp.get("")
def index() -> ResponseReturnValue:
    """The form."""
    return _page()


@bp.post("")
def save() -> ResponseReturnValue:
    """Change it, and end his other sessions where he wants that."""
    form = request.form
    problem = set_password(person().login, form.get("old", ""), form.get("new", ""), form.get("again", ""))
    if problem:
        return _page(problem), 409
    if form.get("others"):
        ask("session-end", id="others")
    flash(gettext("The password is changed."))
    return redirect(url_for("self_password.index"))
