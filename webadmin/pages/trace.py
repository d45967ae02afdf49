"""What became of any message, for the people who look after mail."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from webadmin.backend import MAIL_SOCKET
from webadmin.ops import trace_words
from webadmin.page import SYSTEM, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, HELPDESK, ask

PAGE = Page("Message trace", group=SYSTEM, needs=(ADMIN, DOMAIN_ADMIN, HELPDESK), order=30)
SPANS = (1, 7, 28)  # days
LIMIT = 50
SHORTEST = 3  # characters
bp = Blueprint("trace", __name__, url_prefix="/trace")


@bp.get("/")
def index() -> ResponseReturnValue:
    """The newest first; nothing until something is looked for."""
    text, days = request.args.get("q", "").strip()[:300], request.args.get("days", "")
    span = int(days) if days in map(str, SPANS) else SPANS[1]
    found, problem = None, ""
    if text and len(text.strip("<> ")) < SHORTEST:
        problem = gettext("Give at least three characters.")
    elif text:
        found = ask("mail-trace", MAIL_SOCKET, text=text, seconds=span * 86_400, limit=LIMIT)
    return render_template(
        "ops/trace.html",
        found=found,
        text=text,
        days=span,
        spans=SPANS,
        limit=LIMIT,
        problem=problem,
        words=trace_words,
    )
