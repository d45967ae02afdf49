"""The service's own log lines, where they can be read."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from webadmin.backend import MAIL_SOCKET
from webadmin.page import SYSTEM, Page
from webadmin.person import ADMIN, ask

PAGE = Page("Log", group=SYSTEM, needs=(ADMIN,), order=50)
LEVELS = ("info", "warning", "error")
LIMIT = 200
bp = Blueprint("service_log", __name__, url_prefix="/log")


@bp.get("/")
def index() -> ResponseReturnValue:
    """The newest first."""
    text, level = request.args.get("q", "").strip()[:300], request.args.get("level", "")
    level = level if level in LEVELS else LEVELS[0]
    found = ask("service-log", MAIL_SOCKET, text=text, level=level, limit=LIMIT)
    return render_template("ops/log.html", text=text, level=level, limit=LIMIT, **found)
