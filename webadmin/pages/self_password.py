"""Self-service: a new password."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.page import SELF, Page
from webadmin.passwords import policy, set_password
from webadmin.person import begin, person

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
    """Change it. All his sessions end with the old one; this browser gets a new one."""
    form = request.form
    login = person().login
    problem = set_password(login, form.get("old", ""), form.get("new", ""), form.get("again", ""))
    if problem:
        return _page(problem), 409
    begin(login, form["new"], current_app.extensions["gatepost_settings"].session)
    flash(gettext("The password is changed."))
    return redirect(url_for("self_password.index"))
