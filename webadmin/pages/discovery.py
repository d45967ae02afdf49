"""What programs ask for without a login: where a domain's mail services are, and how other hosts send to it.

Nothing here tells whether an address exists: every address of a domain of ours gets the same answer.
"""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue

from gateway.config.settings import Settings
from webadmin.backend import MAIL_SOCKET
from webadmin.page import Page
from webadmin.person import backend
from webadmin.setup import mta_sts, outlook, pacc, thunderbird
from webadmin.setup.services import Service

PAGE = Page("Discovery", needs=None)
MAX_ADDRESS = 320  # octets (RFC 5321 4.5.3.1)
HOSTS = ("autoconfig.", "autodiscover.", "mta-sts.", "ua-auto-config.")
CSRF_FREE = ("autodiscover",)
XML = "application/xml; charset=utf-8"
bp = Blueprint("discovery", __name__)


def table() -> tuple[Service, ...]:
    """The services of this installation."""
    found: tuple[Service, ...] = current_app.extensions["gatepost_services"]
    return found


def _domain(name: str) -> str:
    """The domain of ours that `name` means. Aborts with 404 for one that is not ours."""
    answer = backend().serve(MAIL_SOCKET, "domain-served", name=name) if 0 < len(name) <= MAX_ADDRESS else {"name": ""}
    if not answer["name"]:
        abort(404)
    return str(answer["name"])


def _of_request() -> str:
    """The domain of the address that is asked for, else of the host that is asked."""
    address = request.args.get("emailaddress", "")[:MAX_ADDRESS]
    if "@" in address:
        return _domain(address.rpartition("@")[2])
    host = request.host.partition(":")[0].lower()
    return _domain(next((host.removeprefix(start) for start in HOSTS if host.startswith(start)), host))


@bp.get("/mail/config-v1.1.xml")
@bp.get("/.well-known/autoconfig/mail/config-v1.1.xml")
def autoconfig() -> ResponseReturnValue:
    """For Thunderbird and its relatives."""
    return Response(thunderbird.document(_of_request(), table()), content_type=XML)


@bp.post("/autodiscover/autodiscover.xml")
@bp.post("/Autodiscover/Autodiscover.xml")
def autodiscover() -> ResponseReturnValue:
    """For Outlook, version 1."""
    address = outlook.asked_address(request.get_data(cache=False))
    if "@" not in address:
        return Response(outlook.refusal(600, "Invalid Request"), content_type=XML)
    answer = backend().serve(MAIL_SOCKET, "domain-served", name=address.rpartition("@")[2])
    if not answer["name"]:
        return Response(outlook.refusal(500, "This address is not served here."), content_type=XML)
    return Response(outlook.document(address, table()), content_type=XML)


@bp.get("/autodiscover/autodiscover.json")
@bp.get("/autodiscover/autodiscover.json/v1.0/<address>")
def autodiscover_json(address: str = "") -> ResponseReturnValue:
    """For Outlook, version 2: it is told where version 1 is."""
    address = address or request.args.get("Email", "")
    _domain(address[:MAX_ADDRESS].rpartition("@")[2])
    protocol = request.args.get("Protocol", "")
    if protocol.lower() != "autodiscoverv1":
        text = f"The given protocol value '{protocol[:50]}' is invalid. Supported values are 'AutodiscoverV1'"
        return jsonify({"ErrorCode": "InvalidProtocol", "ErrorMessage": text}), 400
    base = settings().web.url or request.host_url.rstrip("/")
    return jsonify({"Protocol": "AutodiscoverV1", "Url": f"{base}/autodiscover/autodiscover.xml"})


@bp.get("/.well-known/user-agent-configuration.json")
def user_agent_configuration() -> ResponseReturnValue:
    """For programs that know PACC."""
    web = settings().web.url
    found = pacc.document(_of_request(), table(), f"{web}/devices/" if web else "")
    if found is None:
        abort(404)
    return jsonify(found)


@bp.get("/.well-known/mta-sts.txt")
def mta_sts_policy() -> ResponseReturnValue:
    """For hosts that send mail to `domain` (RFC 8461 3.2): asked as https://mta-sts.domain."""
    host = request.host.partition(":")[0].lower()
    text = mta_sts.document(settings().web.mta_sts, settings().hostname)
    if text is None or not host.startswith("mta-sts."):
        abort(404)
    _domain(host.removeprefix("mta-sts."))
    return Response(text, content_type="text/plain; charset=utf-8")


def settings() -> Settings:
    """The whole configuration."""
    found: Settings = current_app.extensions["gatepost_configuration"]
    return found
