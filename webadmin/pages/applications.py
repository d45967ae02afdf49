"""Applications for mailboxes that wait for somebody who administers their domain."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import NotPossible, Unavailable
from webadmin.page import ACCOUNTS, Page
from webadmin.pages.apply import tell
from webadmin.person import ADMIN, DOMAIN_ADMIN, ask

PAGE = Page("Applications", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN), order=65)
bp = Blueprint("applications", __name__, url_prefix="/applications")


@bp.get("/")
def index() -> ResponseReturnValue:
    """What waits."""
    return render_template("apply/waiting.html", rows=ask("application-list"), problem="")


@bp.post("/")
def decide() -> ResponseReturnValue:
    """Approve or reject one, and tell the applicant."""
    number, decision = request.form.get("id", "")[:100], request.form.get("decision", "")
    if decision not in ("approve", "reject"):
        abort(400)
    try:
        done = ask("application-decide", id=number, decision=decision, login=request.form.get("login", "").strip()[:64])
    except NotPossible as problem:
        page = render_template("apply/waiting.html", rows=ask("application-list"), problem=str(problem))
        return page, 403 if problem.code == 5 else 422
    try:
        tell(
            "approved" if decision == "approve" else "rejected",
            done["contact"],
            done["address"],
            done["id"],
            done["code"],
        )
        told = gettext("The applicant was written to.")
    except (NotPossible, Unavailable):
        told = gettext("The applicant could not be written to: tell him yourself, and set a password for him.")
    if decision == "approve":
        flash(gettext("The mailbox is there."))
    else:
        flash(gettext("The application was rejected."))
    flash(told)
    return redirect(url_for("applications.index"))
