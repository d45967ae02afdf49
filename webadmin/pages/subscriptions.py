"""The mailing lists that a person is a member of or may become one: join and leave."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import NotPossible
from webadmin.page import SELF, Page
from webadmin.person import ask

PAGE = Page("My lists", group=SELF, order=70)
bp = Blueprint("subscriptions", __name__, url_prefix="/lists")


@bp.get("/")
def index() -> ResponseReturnValue:
    """All of them, or the one that a message names."""
    found = ask("own-lists")
    wanted = request.args.get("list", "")[:500].strip().lower()
    if wanted:
        found = [each for each in found if each["address"] == wanted]
    return render_template("subscriptions.html", lists=found, wanted=wanted)


@bp.post("/")
def change() -> ResponseReturnValue:
    """Join or leave one."""
    address, operation = request.form.get("list", ""), request.form.get("operation", "")
    try:
        ask("own-subscription", list=address, operation=operation)
        done = {"subscribe": gettext("You are a member of the list now."), "unsubscribe": gettext("You get no more mail of this list.")}  # fmt: skip
        flash(done[operation])
    except NotPossible as problem:
        flash(str(problem), "problem")
    return redirect(url_for("subscriptions.index"))
