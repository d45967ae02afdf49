"""Setting up mail programs and telephones: what to type, a profile to load, a picture to photograph."""

from __future__ import annotations

import io

import segno
from flask import Blueprint, Response, abort, current_app, render_template, url_for
from flask.typing import ResponseReturnValue

from webadmin.page import SELF, Page
from webadmin.pages.discovery import settings, table
from webadmin.person import person
from webadmin.setup import apple

PAGE = Page("Set up devices", group=SELF, order=50)
bp = Blueprint("devices", __name__, url_prefix="/devices")


@bp.get("/")
def index() -> ResponseReturnValue:
    """All there is to know."""
    who = person()
    return render_template("devices.html", services=table(), address=who.addresses[0] if who.addresses else "")


@bp.get("/profile.mobileconfig")
def profile() -> ResponseReturnValue:
    """For macOS and iOS, signed where this process may read the certificate's key."""
    who = person()
    octets = apple.document(who.addresses[0], who.name, table()) if who.addresses else None
    if octets is None:
        abort(404)
    sign: apple.Sign | None = current_app.extensions["gatepost_signer"]
    response = Response(octets if sign is None else sign(octets), content_type="application/x-apple-aspen-config")
    response.headers["Content-Disposition"] = "attachment; filename=mail.mobileconfig"
    return response


@bp.get("/code.svg")
def code() -> ResponseReturnValue:
    """The address of this page as a QR code, for the telephone's camera."""
    target = (
        (settings().web.url + url_for("devices.index"))
        if settings().web.url
        else url_for("devices.index", _external=True)
    )
    picture = io.BytesIO()
    segno.make(target, error="m").save(picture, kind="svg", scale=5, border=2, dark="#000", light="#fff")
    return Response(picture.getvalue(), mimetype="image/svg+xml")
