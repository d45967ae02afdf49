"""Self-service: own mail that waits, and taking it back."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import OWNER_SOCKET
from webadmin.page import SELF, Page
from webadmin.person import ask

PAGE = Page("My waiting mail", group=SELF, order=80)
bp = Blueprint("self_queue", __name__, url_prefix="/self/queue")


@bp.get("")
def index() -> ResponseReturnValue:
    """What waits, and why."""
    return render_template("self/queue.html", messages=ask("own-queue-list", socket=OWNER_SOCKET))


@bp.post("")
def drop() -> ResponseReturnValue:
    """Take one back."""
    done = ask("own-queue-drop", socket=OWNER_SOCKET, message=request.form.get("message", "")[:100])
    flash(gettext("The message was taken back."))
    if done["delivered"]:
        flash(gettext("%(number)s recipients have it already.", number=done["delivered"]), "problem")
    return redirect(url_for("self_queue.index"))
