"""People: looked for in the directory."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, HELPDESK, ask

PAGE = Page("People", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN, HELPDESK), order=10)
bp = Blueprint("people", __name__, url_prefix="/people")


@bp.get("/")
def index() -> ResponseReturnValue:
    """Those who match."""
    text = request.args.get("q", "")[:200]
    found = ask("find", kind="user", text=text)
    return render_template("people/list.html", text=text, **found)
