"""Signing in with the directory's login and password."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin import passwords, person
from webadmin.backend import NotPossible, Unavailable
from webadmin.page import Page

PAGE = Page("Sign in", needs=None)
MAX_TARGET = 500  # characters
bp = Blueprint("login", __name__, url_prefix="/login")


def safe_target(text: str) -> str:
    """The page of ours that `text` means, or the first page: nobody is sent to another site from here."""
    parts = urlsplit(text)
    ours = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return (
        text if ours and text.isprintable() and "\\" not in text and len(text) <= MAX_TARGET else url_for("home.index")
    )


@bp.get("")
def index() -> ResponseReturnValue:
    """The form."""
    return render_template("login.html", to=request.args.get("to", ""), login="", problem="")


@bp.post("")
def enter() -> ResponseReturnValue:
    """Open a session, or say why not: the same words for an unknown login and a wrong password."""
    login, password = request.form.get("login", "").strip(), request.form.get("password", "")
    to = request.form.get("to", "")
    try:
        if not login or not password:
            raise NotPossible("")
        if not person.begin(login, password, current_app.extensions["gatepost_settings"].session):
            return redirect(url_for("second_step.index", to=to or None))
    except NotPossible as problem:
        if passwords.must_change(problem):
            return passwords.forced(login, to, claim=passwords.claim_of(login, password)), 401
        text = gettext("Login or password is wrong, or this account may not sign in here.")
        return render_template("login.html", to=to, login=login, problem=text, detail=str(problem)), 401
    except Unavailable as problem:
        text = gettext("Signing in is not possible at the moment. Your password may be right; try again in a minute.")
        return render_template("login.html", to=to, login=login, problem=text, detail=str(problem)), 503
    return redirect(safe_target(to))


@bp.post("/change")
def change() -> ResponseReturnValue:
    """Change the password of somebody who is not let in before, and let him in."""
    form = request.form
    login, new, to = form.get("login", "").strip(), form.get("new", ""), form.get("to", "")
    problem = passwords.set_password(login, form.get("old", ""), new, form.get("again", ""))
    if problem:
        return passwords.forced(login, to, problem), 409
    if not person.begin(login, new, current_app.extensions["gatepost_settings"].session):
        return redirect(url_for("second_step.index", to=to or None))
    flash(gettext("The password is changed."))
    return redirect(safe_target(to))
