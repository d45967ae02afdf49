"""Self-service: where else mail goes, and whether a copy stays here."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin import own_entry
from webadmin.backend import NotPossible
from webadmin.mail.recipients import AddressMistake, people
from webadmin.page import SELF, Page
from webadmin.shown import readable

PAGE = Page("Forwarding", group=SELF, order=20)
MAX_FORWARDS = 20
bp = Blueprint("self_forward", __name__, url_prefix="/self/forward")


@bp.get("")
def index() -> ResponseReturnValue:
    """As it is."""
    entry = own_entry.load()
    text = "\n".join(readable(address) for address in entry.texts("forwards"))
    keep = entry.values.get("keep_copy", False)
    return render_template("self/forward.html", version=entry.version, forwards=text, keep=keep, problem="")


@bp.post("")
def save() -> ResponseReturnValue:
    """As it shall be."""
    form = request.form
    text, keep, version = form.get("forwards", "")[:10_000], bool(form.get("keep_copy")), form.get("version", "")
    try:
        found = [person.address for person in people(text)]
        if len(found) > MAX_FORWARDS:
            raise NotPossible(gettext("Mail is forwarded to %(number)s addresses at most.", number=MAX_FORWARDS))
        own_entry.change(version, {"forwards": found, "keep_copy": ["yes" if keep or not found else "no"]})
    except AddressMistake as mistake:
        problem = f"{mistake.piece}: {gettext(str(mistake))}"
    except NotPossible as refused:
        problem = str(refused)
    else:
        flash(gettext("Mail is forwarded from now on.") if found else gettext("Mail is not forwarded."))
        return redirect(url_for("self_forward.index"))
    return render_template("self/forward.html", version=version, forwards=text, keep=keep, problem=problem), 409
