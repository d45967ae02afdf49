"""Room: what mailboxes hold, and what they may hold."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from webadmin.backend import MAIL_SOCKET
from webadmin.entries.views import SHOWN, number
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, HELPDESK, ask

PAGE = Page("Quotas", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN, HELPDESK), order=70)
ORDERS = ("used", "share")
bp = Blueprint("quotas", __name__, url_prefix="/quotas")


@bp.get("/")
def index() -> ResponseReturnValue:
    """The biggest, or the fullest, first."""
    text, domain = request.args.get("q", "")[:200], request.args.get("domain", "")[:255]
    order = request.args.get("order", "")
    order = order if order in ORDERS else ORDERS[0]
    start = number(request.args.get("start", ""))
    found = ask("quota-use", MAIL_SOCKET, text=text, domain=domain, order=order, start=start, limit=SHOWN)
    domains = ask("form", kind="user")["domains"]
    return render_template(
        "quotas/index.html", text=text, domain=domain, order=order, start=start, shown=SHOWN, domains=domains, **found
    )
