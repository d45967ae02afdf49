"""How this host is: warnings, figures of this minute, and their course. Charts where scripts run, else a table."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from webadmin.backend import MAIL_SOCKET
from webadmin.ops import warnings
from webadmin.page import SYSTEM, Page
from webadmin.person import ADMIN, ask

PAGE = Page("Dashboard", group=SYSTEM, needs=(ADMIN,), order=10)
SPANS = ("day", "week", "month")
MAX_TABLE = 24  # rows
bp = Blueprint("dashboard", __name__, url_prefix="/dashboard")


def _span() -> str:
    span = request.args.get("span", "")
    return span if span in SPANS else SPANS[0]


@bp.get("/")
def index() -> ResponseReturnValue:
    """All of it; the charts ask for their figures."""
    found = ask("overview", MAIL_SOCKET, span=_span())
    names = found["history"]["names"]
    rows = [dict(zip(names, row, strict=True)) for row in _thin(found["history"]["rows"])]
    return render_template(
        "ops/dashboard.html",
        host=found,
        rows=rows,
        span=_span(),
        spans=SPANS,
        warnings=warnings.told(found["warnings"]),
    )


@bp.get("/figures")
def figures() -> ResponseReturnValue:
    """What charts are drawn from."""
    history: dict[str, Any] = ask("overview", MAIL_SOCKET, span=_span())["history"]
    columns = list(zip(*history["rows"], strict=True)) or [()] * len(history["names"])
    return {"names": history["names"], "columns": columns}


def _thin(rows: list[list[float | None]]) -> list[list[float | None]]:
    """The newest first, and so many that a person reads them: the last one of each stretch."""
    step = -(-len(rows) // MAX_TABLE) or 1
    return rows[::-1][::step]
