"""Self-service: what the directory lets people change of their own entry."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin import own_entry
from webadmin.backend import NotPossible, Unavailable
from webadmin.page import SELF, Page
from webadmin.person import ask, person

PAGE = Page("Personal data", group=SELF, order=15)
SINGLE = ("given_name", "surname", "office")
SEVERAL = ("phones", "mobile_phones")
MAX_VALUES = 20
bp = Blueprint("self_data", __name__, url_prefix="/self/data")


def _photo() -> dict[str, Any]:
    """The photo, which only the directory itself has: while that is away the rest of the page is there."""
    try:
        found: dict[str, Any] = ask("photo-show", login=person().login)
    except (NotPossible, Unavailable):
        return {"photo": "", "may_set": False}
    return found


@bp.get("")
def index() -> ResponseReturnValue:
    """What stands there."""
    entry = own_entry.load()
    values = {name: entry.text(name) for name in SINGLE} | {name: "\n".join(entry.texts(name)) for name in SEVERAL}
    return render_template("self/data.html", entry=entry, values=values, problem="", photo=_photo())


@bp.post("")
def save() -> ResponseReturnValue:
    """What shall stand there."""
    form = request.form
    values = {name: form.get(name, "").strip() for name in (*SINGLE, *SEVERAL)}
    changes = {name: [values[name]] if values[name] else [] for name in SINGLE}
    for name in SEVERAL:
        changes[name] = [line.strip() for line in values[name].splitlines() if line.strip()][:MAX_VALUES]
    try:
        own_entry.change(form.get("version", ""), changes)
    except NotPossible as problem:
        entry = own_entry.load()
        return render_template("self/data.html", entry=entry, values=values, problem=str(problem), photo=_photo()), 409
    flash(gettext("Saved."))
    return redirect(url_for("self_data.index"))
