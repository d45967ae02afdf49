"""People: found, made, changed, given passwords, deleted."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import NotPossible
from webadmin.entries import passwords, views
from webadmin.entries.kinds import USER
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, HELPDESK, ask

PAGE = Page("People", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN, HELPDESK), order=10)
bp = Blueprint("people", __name__, url_prefix="/people")
views.register(bp, USER, also="people/links.html")


@bp.get("/password/<path:name>")
def password(name: str) -> ResponseReturnValue:
    """The form for a new password."""
    facts = views.found(USER, name)
    if not facts["may_set_password"]:
        abort(403)
    return render_template("entries/password.html", entry=facts, problem="")


@bp.post("/password/<path:name>")
def set_password(name: str) -> ResponseReturnValue:
    """Have the directory set it; a password that was made here is shown once."""
    facts = views.found(USER, name)
    made = passwords.generate() if request.form.get("password_kind") == "generate" else ""
    try:
        if not made and not request.form.get("password"):
            raise NotPossible(gettext("Type a password, or have one made."), 2)
        ask("set-password", login=name, password=made or request.form["password"])
        if request.form.get("must_change") and "must_change_password" in facts["editable"]:
            change = {"field": "must_change_password", "operation": "set", "values": ["yes"]}
            ask("change", kind=USER.name, name=name, changes=[change])
    except NotPossible as problem:
        page = render_template("entries/password.html", entry=facts, problem=str(problem))
        return page, 403 if problem.code == 5 else 422
    if made:
        return render_template("entries/password_made.html", kind=USER, name=name, made=made)
    flash(gettext("The password is set."), "done")
    return redirect(url_for("people.show", name=name))
