"""Why an address gets no mail, and why somebody cannot log in: what `gatepost doctor` tells."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from webadmin.backend import MAIL_SOCKET, NotPossible
from webadmin.page import SYSTEM, Page
from webadmin.person import ADMIN, DOMAIN_ADMIN, HELPDESK, ask

PAGE = Page("Doctor", group=SYSTEM, needs=(ADMIN, DOMAIN_ADMIN, HELPDESK), order=40)
SERVICES = ("imap", "pop3", "submission", "webmail", "sieve", "selfservice")
SENDER = "postmaster@sender.invalid"
bp = Blueprint("doctor", __name__, url_prefix="/doctor")


@bp.get("/")
def index() -> ResponseReturnValue:
    """Both questions, and the answer to the one that was asked."""
    given = {name: request.args.get(name, "").strip()[:320] for name in ("address", "sender", "as", "login", "from")}
    service = request.args.get("service", "")
    service = service if service in SERVICES else SERVICES[0]
    address: dict[str, Any] | None = None
    login: dict[str, Any] | None = None
    problem = ""
    try:
        if given["address"]:
            sender = "" if given["sender"] == "<>" else given["sender"] or SENDER
            address = ask("doctor-address", MAIL_SOCKET, address=given["address"], sender=sender, login=given["as"])
        elif given["login"]:
            login = ask("doctor-login", login=given["login"], service=service, address=given["from"][:100])
    except NotPossible as error:
        problem = str(error)
    page = render_template(
        "ops/doctor.html",
        given=given,
        service=service,
        services=SERVICES,
        sender=SENDER,
        address=address,
        login=login,
        problem=problem,
    )
    return (page, 422) if problem else page
