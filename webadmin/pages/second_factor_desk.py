"""Second factors of somebody else: the help desk sees which there are, and resets them when they are lost."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import NotPossible
from webadmin.page import Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, HELPDESK, ask

PAGE = Page("Second factors of others", needs=(ADMIN, DOMAIN_ADMIN, HELPDESK))
bp = Blueprint("second_factor_desk", __name__, url_prefix="/second-factor/of")


@bp.get("/<login>")
def index(login: str) -> ResponseReturnValue:
    """Which there are, and a button."""
    try:
        found = ask("second-factor-list", login=login)
    except NotPossible:
        abort(404)
    return render_template("factor/desk.html", login=login, **found)


@bp.post("/<login>")
def reset(login: str) -> ResponseReturnValue:
    """All of them go, and the sessions end: the password alone is enough until he enrols a new one."""
    try:
        ask("second-factor-reset", login=login)
        flash(gettext("The second factors are gone and the sessions ended. The password alone is enough now."))
    except NotPossible as problem:
        flash(str(problem), "problem")
    return redirect(url_for("second_factor_desk.index", login=login))
