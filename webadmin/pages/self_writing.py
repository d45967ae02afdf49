"""Self-service: signature, how long a message can be taken back, with formats or without."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin import preferences
from webadmin.page import SELF, Page
from webadmin.preferences import MAX_SIGNATURE, UNDO_SECONDS, Preferences

PAGE = Page("Writing and signature", group=SELF, order=40)
bp = Blueprint("self_writing", __name__, url_prefix="/self/writing")


@bp.get("")
def index() -> ResponseReturnValue:
    """What he chose."""
    return render_template(
        "self/writing.html", chosen=preferences.preferences(), undo=UNDO_SECONDS, longest=MAX_SIGNATURE
    )


@bp.post("")
def save() -> ResponseReturnValue:
    """What he chooses now; values that are none become the usual ones."""
    form = request.form
    values = {
        "signature": form.get("signature", "").replace("\r\n", "\n").strip(),
        "undo_seconds": form.get("undo_seconds", ""),
        "rich_text": "yes" if form.get("rich_text") else "",
    }
    preferences.keep(Preferences.of(values))
    flash(gettext("Saved."))
    return redirect(url_for("self_writing.index"))
