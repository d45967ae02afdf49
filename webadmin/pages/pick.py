"""People, lists and groups that begin with what somebody types, for boxes that name them. Answers a part of a page."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from webadmin.page import Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, HELPDESK, LIST_OWNER, ask

PAGE = Page("Pick", needs=(ADMIN, DOMAIN_ADMIN, HELPDESK, LIST_OWNER))
bp = Blueprint("pick", __name__, url_prefix="/pick")


@bp.get("")
def index() -> ResponseReturnValue:
    """The first that match."""
    text = request.args.get("q", "").strip()[:200]
    return render_template("entries/pick.html", found=ask("pick", text=text) if text else [])
