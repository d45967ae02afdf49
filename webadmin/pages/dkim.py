"""The keys that sign a domain's mail: made, put to use when the DNS has their records, and removed when they are old."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from werkzeug.wrappers import Response

from webadmin.backend import MAIL_SOCKET, NotPossible
from webadmin.entries import views
from webadmin.entries.kinds import DOMAIN
from webadmin.page import Page
from webadmin.person import ADMIN, ask

PAGE = Page("DKIM keys", needs=(ADMIN,))
MAX_SIGNING = 4  # selectors that sign at once
bp = Blueprint("dkim", __name__, url_prefix="/dkim")


def _names(name: str) -> tuple[dict[str, Any], str]:
    """The domain's entry, and which of its names is meant."""
    facts = views.found(DOMAIN, name)
    chosen = request.values.get("of", "")[:255] or facts["key"]
    if chosen not in (facts["key"], *facts["values"].get("aliases", ())):
        abort(404)
    return facts, chosen


def _back(facts: dict[str, Any], chosen: str) -> Response:
    return redirect(url_for("dkim.show", name=facts["key"], of=chosen if chosen != facts["key"] else None))


@bp.get("/<path:name>")
def show(name: str) -> ResponseReturnValue:
    """The keys with their records."""
    facts, chosen = _names(name)
    keys: list[dict[str, Any]] = ask("dkim-keys", MAIL_SOCKET, name=chosen)
    idle = [key["selector"] for key in keys if not key["in_use"] and not key["problem"]]
    names = [facts["key"], *facts["values"].get("aliases", ())]
    return render_template("domains/dkim.html", entry=facts, names=names, chosen=chosen, keys=keys, idle=idle)


@bp.post("/<path:name>")
def change(name: str) -> ResponseReturnValue:
    """Make keys, let chosen ones sign, or remove one."""
    facts, chosen = _names(name)
    what, selectors = request.form.get("what", ""), request.form.getlist("selector")[:MAX_SIGNING]
    try:
        if what == "make":
            made = ask("dkim-make", MAIL_SOCKET, name=chosen, selector=request.form.get("name", "")[:60])
            text = gettext(
                "Made: %(names)s. Publish their records, then let them sign.", names=", ".join(made["selectors"])
            )
        elif what == "sign":
            there = {key["selector"] for key in ask("dkim-keys", MAIL_SOCKET, name=chosen)}
            if not set(selectors) <= there:
                abort(400)
            # the domain's other names may have keys of their own under other selectors
            others = [each for each in facts["values"].get("dkim_selectors", ()) if each.lower() not in there]
            changes = [{"field": "dkim_selectors", "operation": "set", "values": [*selectors, *others]}]
            ask("change", kind="domain", name=facts["key"], changes=changes)
            text = (
                gettext("These keys sign the domain's mail now.")
                if selectors
                else gettext("Nothing signs the domain's mail now.")
            )
        elif what == "remove" and selectors:
            ask("dkim-remove", MAIL_SOCKET, name=chosen, selector=selectors[0][:63])
            text = gettext("The key %(name)s is removed; its record may go from the zone in a week.", name=selectors[0])
        else:
            abort(400)
        flash(text, "done")
    except NotPossible as problem:
        flash(str(problem), "problem")
    return _back(facts, chosen)
