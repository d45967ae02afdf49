"""Applying for a mailbox: a form for people without an account, the link of the mail that they get, their first password."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import AGENT_SOCKET, MAIL_SOCKET, NotPossible, Unavailable
from webadmin.client import client_address
from webadmin.page import Page
from webadmin.person import backend, trusted_proxies

PAGE = Page("Apply for a mailbox", needs=None)
MAX_PART = 100  # characters of a link
bp = Blueprint("apply", __name__, url_prefix="/apply")


def domains() -> tuple[str, ...]:
    """Those that may be applied for. Aborts with 404 where there are none."""
    found: tuple[str, ...] = current_app.extensions["gatepost_settings"].sign_up
    if not found:
        abort(404)
    return found


def tell(what: str, contact: str, address: str, number: str, code: str) -> None:
    """Have the mail written. Raises NotPossible, Unavailable."""
    url = f"{current_app.extensions['gatepost_settings'].url}/apply/{number}/{code}" if code else ""
    backend().serve(MAIL_SOCKET, "application-mail", contact=contact, address=address, what=what, url=url)


@bp.get("/")
def index() -> ResponseReturnValue:
    """The form."""
    return render_template("apply/form.html", domains=domains(), given={}, problem="")


@bp.post("/")
def send() -> ResponseReturnValue:
    """Note the application, and write to the applicant: nothing goes on before he opened the link."""
    names = domains()
    given = {name: request.form.get(name, "").strip()[:1000] for name in ("login", "name", "domain", "contact", "note")}
    try:
        if not all(given[name] for name in ("login", "name", "domain", "contact")):
            raise NotPossible(gettext("Everything but the note is needed."), 2)
        asked: dict[str, Any] = backend().serve(
            AGENT_SOCKET, "application-ask", **given, client=client_address(trusted_proxies())
        )
        tell("confirm", asked["contact"], asked["address"], asked["id"], asked["code"])
    except NotPossible as problem:
        page = render_template("apply/form.html", domains=names, given=given, problem=str(problem))
        return page, 422
    except Unavailable as problem:
        if problem.part == "directory" and "too many" in str(problem):
            page = render_template("apply/form.html", domains=names, given=given, problem=str(problem))
            return page, 429
        raise
    return render_template("apply/sent.html", contact=asked["contact"])


def _found(verb: str, number: str, code: str, **more: str) -> dict[str, Any] | None:
    domains()
    try:
        found: dict[str, Any] = backend().serve(AGENT_SOCKET, verb, id=number[:MAX_PART], code=code[:MAX_PART], **more)
    except NotPossible as problem:
        if more:
            raise
        del problem
        return None
    return found


@bp.get("/<number>/<code>")
def look(number: str, code: str) -> ResponseReturnValue:
    """Where the application stands, and what is next."""
    found = _found("application-look", number, code)
    return render_template("apply/state.html", found=found, problem=""), 200 if found else 404


@bp.post("/<number>/<code>")
def go_on(number: str, code: str) -> ResponseReturnValue:
    """Confirm it, or choose the password of what was approved."""
    found = _found("application-look", number, code)
    if found is None:
        return render_template("apply/state.html", found=None, problem=""), 404
    if found["state"] == "asked":
        return render_template("apply/state.html", found=_found("application-confirm", number, code), problem="")
    if found["state"] != "approved":
        return render_template("apply/state.html", found=found, problem="")
    password = request.form.get("password", "")
    try:
        if not password or password != request.form.get("again", ""):
            raise NotPossible(gettext("Type the same password twice."), 2)
        done = _found("application-finish", number, code, password=password)
    except NotPossible as problem:
        return render_template("apply/state.html", found=found, problem=str(problem)), 422
    return render_template("apply/done.html", login=done["login"] if done else "")
