"""What people see when something cannot be done: which part does not answer, and what still works."""

from __future__ import annotations

import contextlib
import logging

from flask import Flask, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from gateway.observe.log import fields
from webadmin.api.problem import problem
from webadmin.backend import NotPossible, SessionEnded, Unavailable
from webadmin.person import LANGUAGE, TOKEN, current, over

_log = logging.getLogger("gatepost.web")


def register(app: Flask) -> None:
    """Every error that pages let through."""
    app.register_error_handler(SessionEnded, _session_ended)
    app.register_error_handler(Unavailable, _unavailable)
    app.register_error_handler(NotPossible, _not_possible)
    app.register_error_handler(CSRFError, _foreign_form)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _bug)


def _page(code: int, title: str, text: str, detail: str = "") -> ResponseReturnValue:
    if request.path.startswith("/api/"):
        return problem(code, detail or text)
    return render_template("error.html", title=title, text=text, detail=detail), code


def not_allowed() -> ResponseReturnValue:
    """The page is for others."""
    return _page(403, gettext("Not allowed"), gettext("This page is for people with other rights."))


def _session_ended(_: SessionEnded) -> ResponseReturnValue:
    language = session.get(LANGUAGE)
    if TOKEN in session:
        over(session[TOKEN])
    session.clear()
    if language:
        session[LANGUAGE] = language
    flash(gettext("Your session has ended. Please sign in again."))
    here = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("login.index", to=here))


def _unavailable(error: Unavailable) -> ResponseReturnValue:
    texts = {
        "directory": gettext("The directory service of this host does not answer. Mail goes on; signing in and changes have to wait."),
        "queue": gettext("The mail queue of this host does not answer. Reading mail still works."),
        "imap": gettext("The mail store does not answer. Your account's settings still work."),
        "submission": gettext("Sending does not work at the moment. What you wrote is kept as a draft where that was possible."),
    }  # fmt: skip
    title = gettext("Not available at the moment")
    return _page(503, title, texts.get(error.part, gettext("A part of the system does not answer.")), str(error))


def _not_possible(error: NotPossible) -> ResponseReturnValue:
    return _page(403 if error.code == 5 else 409, gettext("That was not done"), str(error))


def _foreign_form(error: CSRFError) -> ResponseReturnValue:
    text = gettext("The form was too old or came from another site. Load the page again and repeat what you did.")
    return _page(400, gettext("Form not accepted"), text)


def _http(error: HTTPException) -> ResponseReturnValue:
    if error.code is not None and error.code < 400:
        return error.get_response()
    texts = {
        404: gettext("There is no such page, or it is not yours."),
        405: gettext("This address takes no such request."),
        413: gettext("That is more than this server takes at once."),
        429: gettext("Too many requests. Try again in a moment."),
    }
    if error.code == 404 and not request.path.startswith("/api/"):
        with contextlib.suppress(SessionEnded, Unavailable, NotPossible):
            current()  # so that the page has his menu
    title = gettext("Not found") if error.code == 404 else gettext("Not possible")
    return _page(error.code or 500, title, texts.get(error.code or 0, error.name))


def _bug(error: Exception) -> ResponseReturnValue:
    _log.error("%s", fields(event="bug", method=request.method, path=request.path[:200]), exc_info=error)
    return _page(500, gettext("Internal error"), gettext("This is a fault of the program. It was logged."))
