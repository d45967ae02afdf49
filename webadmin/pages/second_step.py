"""The second step of signing in, for people with a second factor: a code, a passkey or a recovery code."""

from __future__ import annotations

import json

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin import person
from webadmin.backend import NotPossible, Unavailable
from webadmin.page import Page
from webadmin.pages.login import safe_target

PAGE = Page("Second step", needs=None)
BEGIN_ANEW = 5
bp = Blueprint("second_step", __name__, url_prefix="/login/second")


def _form(to: str, problem: str = "") -> str:
    step = person.second_step() or {}
    asked = json.dumps(step["passkey"]) if step.get("passkey") else ""
    return render_template("factor/second_step.html", to=to, kinds=step.get("kinds", ()), asked=asked, problem=problem)


@bp.get("")
def index() -> ResponseReturnValue:
    """The form."""
    to = request.args.get("to", "")
    if person.second_step() is None:
        return redirect(url_for("login.index", to=to or None))
    return _form(to)


@bp.post("")
def enter() -> ResponseReturnValue:
    """Open the session."""
    to, code, passkey = (request.form.get(name, "") for name in ("to", "code", "passkey"))
    try:
        person.finish(code.strip(), passkey, current_app.extensions["gatepost_settings"].session)
    except NotPossible as problem:
        if problem.code == BEGIN_ANEW:
            flash(gettext("That took too long, or too many tries. Please sign in again."), "problem")
            return redirect(url_for("login.index", to=to or None))
        return _form(to, gettext("That is not right, or was used before. A new code appears every 30 seconds.")), 401
    except Unavailable:
        return _form(to, gettext("That cannot be checked at the moment. Try again in a few minutes.")), 503
    return redirect(safe_target(to))
