"""Posts that wait for the moderators of a list, and members whose copies came back."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import MAIL_SOCKET, NotPossible
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, LIST_OWNER, ask, person

PAGE = Page("Moderation", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN, LIST_OWNER), order=60)
MAX_LISTS = 50
bp = Blueprint("moderation", __name__, url_prefix="/moderation")


def _list(address: str) -> dict[str, Any]:
    """The list of that address, when the person looks after it; else there is no such page."""
    try:
        found: dict[str, Any] = ask("show", kind="list", name=address)
    except NotPossible:
        abort(404)
    return found


@bp.get("/")
def index() -> ResponseReturnValue:
    """What waits, of every list that the person looks after."""
    addresses = person().lists
    waiting = []
    for address in addresses[:MAX_LISTS]:
        found = _list(address)
        waiting.append((address, found["title"], ask("list-held", MAIL_SOCKET, list=found["id"])))
    return render_template("moderation/index.html", waiting=waiting, more=len(addresses) > MAX_LISTS)


@bp.get("/<address>/")
def one(address: str) -> ResponseReturnValue:
    """What waits for one list, and whose copies came back."""
    found = _list(address)
    held = ask("list-held", MAIL_SOCKET, list=found["id"])
    bounces = ask("list-bounces", MAIL_SOCKET, list=found["id"])
    return render_template("moderation/list.html", address=address, entry=found, held=held, bounces=bounces)


@bp.get("/<address>/<post>")
def post(address: str, post: str) -> ResponseReturnValue:
    """One post, as plain words."""
    found = _list(address)
    try:
        shown = ask("list-post", MAIL_SOCKET, list=found["id"], post=post)
    except NotPossible:
        text = gettext("Somebody has decided on this post already, or it expired.")
        return render_template("moderation/gone.html", address=address, text=text), 404
    return render_template("moderation/post.html", address=address, entry=found, post=shown)


@bp.post("/<address>/<post>")
def decide(address: str, post: str) -> ResponseReturnValue:
    """Send it to the members, or throw it away."""
    found = _list(address)
    decision = request.form.get("decision", "")
    if decision not in ("approve", "reject"):
        abort(400)
    try:
        ask("list-moderate", MAIL_SOCKET, list=found["id"], post=post, decision=decision)
    except NotPossible:
        text = gettext("Somebody has decided on this post already, or it expired.")
        return render_template("moderation/gone.html", address=address, text=text), 404
    if decision == "approve":
        flash(gettext("The post is on its way to the members."))
    else:
        flash(gettext("The post was thrown away."))
    return redirect(url_for("moderation.one", address=address))


@bp.post("/<address>/unpark")
def unpark(address: str) -> ResponseReturnValue:
    """Let a member have mail of the list again."""
    found = _list(address)
    try:
        ask("list-unpark", MAIL_SOCKET, list=found["id"], member=request.form.get("member", ""))
        flash(gettext("The member gets mail of the list again."))
    except NotPossible as problem:
        flash(str(problem), "problem")
    return redirect(url_for("moderation.one", address=address))
