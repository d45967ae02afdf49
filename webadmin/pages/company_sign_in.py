"""Signing in with the company's OpenID Connect provider, where `web.oidc` names one: there and back again."""

from __future__ import annotations

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin import person
from webadmin.backend import NotPossible, Unavailable
from webadmin.page import Page
from webadmin.pages.login import safe_target

PAGE = Page("Company account", needs=None)
MAX_TEXT = 4096  # characters of what the provider sends along
NOT_LET_IN = "this account does not sign in here"
TOO_LONG = "that took too long"
bp = Blueprint("company_sign_in", __name__, url_prefix="/login/company")


def _offered() -> None:
    if not current_app.extensions["gatepost_settings"].oidc.issuer:
        abort(404)


def _again(text: str, code: int) -> ResponseReturnValue:
    return render_template("login.html", to="", login="", problem=text), code


def _not_now() -> ResponseReturnValue:
    text = gettext("Signing in with the company account is not possible at the moment. Your password still works.")
    return _again(text, 503)


@bp.get("")
def index() -> ResponseReturnValue:
    """To the provider."""
    _offered()
    try:
        return redirect(person.begin_at_company(safe_target(request.args.get("to", ""))))
    except Unavailable:
        return _not_now()


@bp.get("/back")
def back() -> ResponseReturnValue:
    """From the provider, with a code or with what it does not like."""
    _offered()
    state, code, issuer = (request.args.get(name, "")[:MAX_TEXT] for name in ("state", "code", "iss"))
    seconds = current_app.extensions["gatepost_settings"].session
    try:
        if not code:
            return _again(gettext("Signing in with the company account was not accepted."), 401)
        is_in, to = person.finish_at_company(state, code, issuer, seconds)
    except NotPossible as problem:
        if problem.said == NOT_LET_IN:
            return _again(
                gettext("There is no account here for that company account, or it may not sign in here."), 401
            )
        if not problem.said or problem.said.startswith(TOO_LONG):
            return _again(gettext("That took too long, or this browser did not begin it. Please try again."), 401)
        return _again(gettext("Signing in with the company account was not accepted."), 401)
    except Unavailable:
        return _not_now()
    return redirect(safe_target(to) if is_in else url_for("second_step.index", to=to or None))
