"""One's own second factors: enrol a code generator or a passkey, remove one, get new recovery codes."""

from __future__ import annotations

from typing import Any

import segno
from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import NotPossible
from webadmin.page import SELF, Page
from webadmin.person import ask, person

PAGE = Page("Second factor", group=SELF, order=60)
MAX_URI = 500
URI_START = "otpauth://totp/"
bp = Blueprint("second_factor", __name__, url_prefix="/second-factor")


def _password() -> str:
    return request.form.get("password", "")[:4096]


def _words(problem: NotPossible) -> str:
    return gettext("The password is not right.") if "password is not right" in problem.said else str(problem)


def _page(problem: str = "") -> str:
    return render_template("factor/index.html", problem=problem, **ask("second-factor-list", login=person().login))


def _done(answer: dict[str, Any]) -> ResponseReturnValue:
    """Back to the list, or to recovery codes where there are new ones."""
    if answer.get("codes"):
        return render_template("factor/codes.html", codes=answer["codes"])
    return redirect(url_for("second_factor.index"))


@bp.get("/")
def index() -> ResponseReturnValue:
    """What there is."""
    return _page()


@bp.post("/totp")
def totp() -> ResponseReturnValue:
    """A key for a code generator, to be photographed."""
    try:
        made = ask("second-factor-begin", kind="totp", password=_password())
    except NotPossible as problem:
        return _page(_words(problem)), 409
    return _enrol(made["uri"])


def _enrol(uri: str, name: str = "", problem: str = "") -> str:
    picture = segno.make(uri, error="m").svg_data_uri(scale=4, border=3, dark="#000", light="#fff")
    key = uri.partition("secret=")[2].partition("&")[0]
    return render_template("factor/totp.html", uri=uri, key=key, picture=picture, name=name, problem=problem)


@bp.post("/totp/finish")
def totp_finish() -> ResponseReturnValue:
    """The first code shows that it works."""
    uri, name, code = (request.form.get(field, "") for field in ("uri", "name", "code"))
    try:
        return _done(ask("second-factor-finish", kind="totp", name=name[:100], code=code[:100]))
    except NotPossible as problem:
        if not uri.startswith(URI_START) or len(uri) > MAX_URI or not uri.isprintable():
            return _page(str(problem)), 409
        return _enrol(uri, name, str(problem)), 409


@bp.post("/passkey")
def passkey() -> ResponseReturnValue:
    """What the browser is asked to make (for the script of the page)."""
    try:
        return jsonify(ask("second-factor-begin", kind="passkey", password=_password())["options"])
    except NotPossible as problem:
        return jsonify({"problem": _words(problem)}), 409


@bp.post("/passkey/finish")
def passkey_finish() -> ResponseReturnValue:
    """What it made."""
    made, name = request.form.get("passkey", "")[:20_000], request.form.get("name", "")[:100]
    try:
        return _done(ask("second-factor-finish", kind="passkey", name=name, passkey=made))
    except NotPossible as problem:
        return _page(str(problem)), 409


@bp.post("/remove")
def remove() -> ResponseReturnValue:
    """One of them goes."""
    try:
        ask("second-factor-remove", id=request.form.get("id", "")[:50], password=_password())
    except NotPossible as problem:
        return _page(_words(problem)), 409
    flash(gettext("The second factor was removed."))
    return redirect(url_for("second_factor.index"))


@bp.post("/codes")
def codes() -> ResponseReturnValue:
    """New recovery codes; the old ones are worth nothing from then on."""
    try:
        return _done(ask("second-factor-codes", password=_password()))
    except NotPossible as problem:
        return _page(_words(problem)), 409
