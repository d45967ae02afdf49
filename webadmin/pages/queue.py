"""The queue: mail that waits, why, and what an administrator may do about it. Contents are shown to nobody."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import MAIL_SOCKET, NotPossible
from webadmin.ops import queue_words
from webadmin.page import SYSTEM, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, HELPDESK, ask

PAGE = Page("Mail queue", group=SYSTEM, needs=(ADMIN, DOMAIN_ADMIN, HELPDESK), order=20)
SHOWN = 50
STATES = ("new", "later", "trying", "deferred", "held", "failed")
FILTERS = ("sender", "recipient", "domain")
NO, NOT_ALLOWED = 1, 5
bp = Blueprint("queue", __name__, url_prefix="/queue")


@bp.get("/")
def index() -> ResponseReturnValue:
    """The oldest first."""
    wanted = {name: request.args.get(name, "").strip()[:300] for name in FILTERS}
    state, after = request.args.get("state", ""), request.args.get("after", "")[:100]
    wanted["state"] = state if state in STATES else ""
    found = ask("queued-list", MAIL_SOCKET, **wanted, after=after, limit=SHOWN)
    states = [(each, queue_words.state({"state": each})) for each in STATES]
    return render_template(
        "ops/queue.html", **found, wanted=wanted, after=after, states=states, words=queue_words, shown=SHOWN
    )


def _one(message: str) -> dict[str, Any]:
    """What is known of a message; there is no page for one that has gone or is none of his business."""
    try:
        found: dict[str, Any] = ask("queued-show", MAIL_SOCKET, message=message[:100])
    except NotPossible as problem:
        if problem.code == NO:
            abort(404)
        raise
    return found


@bp.get("/of/<message>")
def show(message: str) -> ResponseReturnValue:
    """One message: envelope, attempts, what comes next."""
    return render_template("ops/queued.html", message=_one(message), words=queue_words)


@bp.get("/drop/<message>")
def confirm(message: str) -> ResponseReturnValue:
    """Really?"""
    return render_template("ops/queue_drop.html", message=_one(message))


@bp.post("/of/<message>")
def change(message: str) -> ResponseReturnValue:
    """Hold, release, try now, or drop."""
    what = request.form.get("what", "")
    if what not in ("hold", "release", "retry", "drop"):
        abort(400)
    _one(message)
    try:
        done = ask("queued-change", MAIL_SOCKET, message=message[:100], what=what)
    except NotPossible as problem:
        if problem.code == NOT_ALLOWED:
            raise
        flash(str(problem), "problem")
        return redirect(url_for("queue.show", message=message))
    texts = {
        "hold": gettext("The message is held until somebody releases it."),
        "release": gettext("The message is released."),
        "retry": gettext("The message is tried now."),
        "drop": gettext("The message was thrown away."),
    }
    flash(texts[what] if done["targets"] else gettext("Nothing was to be changed."), "done")
    return redirect(url_for("queue.index") if what == "drop" else url_for("queue.show", message=message))
