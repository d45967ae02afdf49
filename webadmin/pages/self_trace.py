"""Self-service: what became of one's mail."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from webadmin.backend import OWNER_SOCKET
from webadmin.page import SELF, Page
from webadmin.person import ask

PAGE = Page("Where is my mail?", group=SELF, order=85)
SPANS = (1, 7, 28)  # days
LIMIT = 50
bp = Blueprint("self_trace", __name__, url_prefix="/self/trace")


@bp.get("")
def index() -> ResponseReturnValue:
    """Messages that he sent and got, with what happened to each."""
    text, days = request.args.get("q", "").strip()[:300], request.args.get("days", "7")
    span = int(days) if days in map(str, SPANS) else SPANS[1]
    found = ask("own-trace", socket=OWNER_SOCKET, text=text, seconds=span * 86_400, limit=LIMIT)
    return render_template("self/trace.html", stories=found, text=text, days=span, spans=SPANS, limit=LIMIT)
