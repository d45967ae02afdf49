"""Self-service: app passwords, one for each device or program."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from webadmin.backend import NotPossible
from webadmin.page import SELF, Page
from webadmin.person import ask, person

PAGE = Page("App passwords", group=SELF, order=55)
SERVICES = ("imap", "pop3", "submission", "sieve")
DAYS = (0, 30, 90, 365)
bp = Blueprint("self_apps", __name__, url_prefix="/self/apps")


def _page(problem: str = "", made: dict[str, object] | None = None) -> str:
    found = ask("app-password-list", login=person().login)
    return render_template(
        "self/apps.html", passwords=found, services=SERVICES, days=DAYS, problem=problem, made=made, form=request.form
    )


@bp.get("")
def index() -> ResponseReturnValue:
    """Those there are."""
    return _page()


@bp.post("")
def add() -> ResponseReturnValue:
    """A new one; its secret is shown once and never again."""
    form = request.form
    days = form.get("days", "0")
    services = [service for service in SERVICES if service in form.getlist("services")]
    networks = form.get("networks", "").replace(",", " ").split()[:20]
    try:
        if not services:
            raise NotPossible(gettext("Choose what the password is for."), 2)
        made = ask(
            "app-password-add",
            login=person().login,
            name=form.get("name", "").strip()[:100],
            services=services,
            networks=networks,
            seconds=int(days) * 86_400 if days in map(str, DAYS) else 0,
        )
    except NotPossible as problem:
        return _page(str(problem)), 409
    return _page(made=made)


@bp.post("/revoke")
def revoke() -> ResponseReturnValue:
    """The device with it is locked out at once; `older`: all that are older than the password."""
    ended = ask("app-password-revoke", login=person().login, id=request.form.get("id", "")[:40] or "-")
    flash(ngettext("%(num)s app password is revoked.", "%(num)s app passwords are revoked.", ended))
    return redirect(url_for("self_apps.index"))
