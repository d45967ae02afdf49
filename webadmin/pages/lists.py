"""Mailing lists: found, made, changed, deleted; their members looked through, taken in and out."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from webadmin.backend import NotPossible
from webadmin.entries import views
from webadmin.entries.kinds import LIST
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, LIST_OWNER, ask

PAGE = Page("Mailing lists", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN, LIST_OWNER), order=30)
MAX_AT_ONCE = 1000  # members in one request
bp = Blueprint("lists", __name__, url_prefix="/mailing-lists")
views.register(bp, LIST, also="lists/links.html")


@bp.get("/members/<path:name>")
def members(name: str) -> ResponseReturnValue:
    """Who is in it."""
    return _members(name)


def _members(name: str, typed: str = "", problem: str = "", code: int = 200) -> ResponseReturnValue:
    facts = views.found(LIST, name)
    text, start = request.args.get("q", "")[:200], views.number(request.args.get("start", ""))
    found = ask("members-of", list=name, text=text, start=start, limit=views.SHOWN)
    page = render_template(
        "lists/members.html", entry=facts, text=text, start=start, shown=views.SHOWN, typed=typed, problem=problem,
        **found,
    )  # fmt: skip
    return page, code


@bp.post("/members/<path:name>")
def change_members(name: str) -> ResponseReturnValue:
    """Take some in (`add`, one a line) or out (`remove`, each as the list has it)."""
    facts = views.found(LIST, name)
    operation = "add" if "add" in request.form else "remove"
    typed = request.form.get("add", "")
    wanted = [line.strip() for line in typed.splitlines()] if operation == "add" else request.form.getlist("remove")
    wanted = [text for text in dict.fromkeys(wanted) if text]
    try:
        if not wanted:
            raise NotPossible(gettext("Nobody was named."), 2)
        if len(wanted) > MAX_AT_ONCE:
            raise NotPossible(gettext("At most %(count)s at a time.", count=MAX_AT_ONCE), 2)
        ask("members", list=name, operation=operation, members=wanted)
    except NotPossible as problem:
        return _members(facts["key"], typed, str(problem), 403 if problem.code == 5 else 422)
    if operation == "add":
        flash(ngettext("%(num)s member was added.", "%(num)s members were added.", len(wanted)), "done")
    else:
        flash(ngettext("%(num)s member was taken out.", "%(num)s members were taken out.", len(wanted)), "done")
    return redirect(url_for("lists.members", name=name, q=request.args.get("q", "")[:200] or None))
