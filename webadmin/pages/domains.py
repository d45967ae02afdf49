"""Domains: found, made, changed, deleted; what the DNS must say of one, and whether it does."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from webadmin.backend import MAIL_SOCKET
from webadmin.entries import views
from webadmin.entries.kinds import DOMAIN
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, ask
from webadmin.setup.dns import also_wanted

PAGE = Page("Domains", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN), order=50)
MAX_DOMAIN = 255
bp = Blueprint("domains", __name__, url_prefix="/domains")
views.register(bp, DOMAIN, also="domains/links.html")


@bp.get("/dns/<path:name>")
def dns(name: str) -> ResponseReturnValue:
    """The records of a domain, or of one of its other names."""
    facts = views.found(DOMAIN, name)
    names = [facts["key"], *facts["values"].get("aliases", ())]
    chosen = request.args.get("of", "")[:MAX_DOMAIN] or facts["key"]
    if chosen not in names:
        abort(404)
    records: list[dict[str, Any]] = ask("domain-dns", MAIL_SOCKET, name=chosen, also=also_wanted(chosen))
    return render_template("domains/dns.html", entry=facts, names=names, chosen=chosen, records=records)
