"""Domains: found, made, changed, deleted; what the DNS must say of one, and whether it does."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Blueprint, abort, current_app, render_template, request
from flask.typing import ResponseReturnValue

from gateway.config.settings import Settings
from webadmin.backend import MAIL_SOCKET
from webadmin.entries import views
from webadmin.entries.kinds import DOMAIN
from webadmin.page import ACCOUNTS, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, ask
from webadmin.setup import mta_sts
from webadmin.setup.services import Service

PAGE = Page("Domains", group=ACCOUNTS, needs=(ADMIN, DOMAIN_ADMIN), order=50)
MAX_DOMAIN = 255
bp = Blueprint("domains", __name__, url_prefix="/domains")
views.register(bp, DOMAIN, also="domains/links.html")


def also_wanted(domain: str, settings: Settings, table: tuple[Service, ...]) -> list[dict[str, str]]:
    """The records of what the front end serves for a domain: set-up of mail programs, the MTA-STS policy."""
    host = settings.web.client_host or settings.hostname
    records = [
        {"purpose": "programs", "name": f"_{each.name}._tcp.{domain}", "kind": "SRV", "value": f"0 1 {each.port} {each.host}."}
        for each in table
    ]  # fmt: skip
    records += [
        {"purpose": "setup", "name": f"{name}.{domain}", "kind": "HOST", "value": f"CNAME {host}."}
        for name in ("autoconfig", "autodiscover")
    ]
    policy = mta_sts.document(settings.web.mta_sts, settings.hostname)
    if policy is not None:
        # any text will do that changes with the policy (RFC 8461 3.1)
        mark = hashlib.sha256(policy.encode()).hexdigest()[:16]
        records += [
            {"purpose": "sts", "name": f"_mta-sts.{domain}", "kind": "TXT", "value": f"v=STSv1; id={mark}"},
            {"purpose": "sts", "name": f"mta-sts.{domain}", "kind": "HOST", "value": f"CNAME {host}."},
        ]
    return records


@bp.get("/dns/<path:name>")
def dns(name: str) -> ResponseReturnValue:
    """The records of a domain, or of one of its other names."""
    facts = views.found(DOMAIN, name)
    names = [facts["key"], *facts["values"].get("aliases", ())]
    chosen = request.args.get("of", "")[:MAX_DOMAIN] or facts["key"]
    if chosen not in names:
        abort(404)
    settings: Settings = current_app.extensions["gatepost_configuration"]
    wanted = also_wanted(chosen, settings, current_app.extensions["gatepost_services"])
    records: list[dict[str, Any]] = ask("domain-dns", MAIL_SOCKET, name=chosen, also=wanted)
    return render_template("domains/dns.html", entry=facts, names=names, chosen=chosen, records=records)
