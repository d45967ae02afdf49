"""What the service runs with, each value with the line that it stands in. Changed in the file, never here."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from webadmin.backend import MAIL_SOCKET
from webadmin.page import SYSTEM, Page
from webadmin.person import ADMIN, ask

PAGE = Page("Configuration", group=SYSTEM, needs=(ADMIN,), order=60)
bp = Blueprint("configuration", __name__, url_prefix="/configuration")


@bp.get("/")
def index() -> ResponseReturnValue:
    """What the file gives; with `all` the defaults too."""
    text, defaults = request.args.get("q", "").strip()[:200], request.args.get("all", "") == "1"
    found = ask("configuration", MAIL_SOCKET, text=text, defaults=defaults)
    return render_template("ops/configuration.html", text=text, defaults=defaults, **found)
