"""Signing out, and the language of the pages."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from webadmin import person
from webadmin.languages import LANGUAGES
from webadmin.page import Page
from webadmin.pages.login import safe_target
from webadmin.person import LANGUAGE

PAGE = Page("Session", needs=None)
bp = Blueprint("session", __name__)


@bp.post("/logout")
def leave() -> ResponseReturnValue:
    """End the session, here and on the server."""
    person.end()
    return redirect(url_for("session.bye"))


@bp.get("/bye")
def bye() -> ResponseReturnValue:
    """After it."""
    return render_template("bye.html")


@bp.post("/language")
def language() -> ResponseReturnValue:
    """Choose the language."""
    chosen = request.form.get("language", "")
    if chosen in LANGUAGES:
        session[LANGUAGE] = chosen
    return redirect(safe_target(request.form.get("to", "")))
