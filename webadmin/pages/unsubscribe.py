"""Leaving a mailing list from a message, without a login: what List-Unsubscribe of a member's own copy leads to (RFC 8058).

Mail programs send the POST themselves; a person gets a page with a button first, because programs that look at every
link in a message must not take anybody off a list.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from typing import Any

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue

from webadmin.backend import MAIL_SOCKET, NotPossible
from webadmin.page import Page
from webadmin.person import backend

PAGE = Page("Leave a list", needs=None)
MAX_PART = 1000  # characters
bp = Blueprint("unsubscribe", __name__, url_prefix="/unsubscribe")
#: the token in the address says who may, and no other site can know it
CSRF_FREE = ("leave",)


def _ask(list_id: str, member: str, token: str, *, look: bool) -> str:
    """The address of the list. Aborts for an address that leads nowhere."""
    try:
        parts = [
            urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("utf-8")
            for text in (list_id[:MAX_PART], member[:MAX_PART])
        ]
        found: dict[str, Any] = backend().serve(
            MAIL_SOCKET, "list-leave", list=parts[0], member=parts[1], token=token[:MAX_PART], look=look
        )
    except (binascii.Error, ValueError, NotPossible):
        abort(404)
    return str(found["list"])


@bp.get("/<list_id>/<member>/<token>")
def look(list_id: str, member: str, token: str) -> ResponseReturnValue:
    """Which list it is, and a button."""
    return render_template("unsubscribe.html", address=_ask(list_id, member, token, look=True), done=False)


@bp.post("/<list_id>/<member>/<token>")
def leave(list_id: str, member: str, token: str) -> ResponseReturnValue:
    """Off the list; once more does no harm."""
    return render_template("unsubscribe.html", address=_ask(list_id, member, token, look=False), done=True)
