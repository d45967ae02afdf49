"""The journal of the directory: who changed what, and back again."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import NotPossible
from webadmin.entries.views import number
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, ask

PAGE = Page("Changes", group=ACCOUNTS, needs=(ADMIN,), order=90)
SHOWN = 50
MAX_VALUES = 20  # of one attribute that are shown
MAX_TEXT = 300  # characters of a value that are shown
bp = Blueprint("journal", __name__, url_prefix="/changes")


def _lines(change: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(sign, attribute, value) of what a change did, the first values of each."""
    found = []
    for name, (gone, come) in change.get("modify", {}).items():
        found.extend(_values("−", name, gone))
        found.extend(_values("+", name, come))
    for sign, operation in (("+", "add"), ("−", "delete")):
        for name, values in change.get(operation, {}).items():
            found.extend(_values(sign, name, values))
    return found


def _values(sign: str, name: str, values: list[str]) -> list[tuple[str, str, str]]:
    rows = [(sign, name, value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "…") for value in values[:MAX_VALUES]]
    if len(values) > MAX_VALUES:
        rows.append((sign, name, f"… ({len(values)})"))
    return rows


@bp.get("/")
def index() -> ResponseReturnValue:
    """The latest, of one entry when it is named by its id."""
    entry, before = request.args.get("entry", "")[:200], number(request.args.get("before", ""))
    rows = ask("journal", limit=SHOWN + 1, entry=entry, before=before)
    more = len(rows) > SHOWN
    shown = [
        {**row, "lines": _lines(row["change"]), "is_password": "password" in row["change"]} for row in rows[:SHOWN]
    ]
    return render_template("journal/index.html", rows=shown, entry=entry, before=before, more=more)


@bp.post("/undo/<int:change>")
def undo(change: int) -> ResponseReturnValue:
    """Take one change back; the directory refuses where the entry has gone on since."""
    try:
        done = ask("undo", number=change)
        flash(gettext("Change %(number)s is taken back.", number=change), "done")
        if not done["number"]:
            flash(gettext("Nothing was changed."))
    except NotPossible as problem:
        flash(str(problem), "problem")
    return redirect(url_for("journal.index", entry=request.form.get("entry", "")[:200] or None))
