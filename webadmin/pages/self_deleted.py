"""Self-service: messages that were deleted come back, as long as they are kept."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from webadmin.backend import OWNER_SOCKET
from webadmin.page import SELF, Page
from webadmin.person import ask

PAGE = Page("Deleted messages", group=SELF, order=46)
LIMIT = 100  # messages that are shown, and that one wish puts back
MAX_ID = 300  # characters
MAX_NAME = 1_000
bp = Blueprint("self_deleted", __name__, url_prefix="/self/deleted")


@bp.get("")
def index() -> ResponseReturnValue:
    """What can come back, the newest first; of one mailbox where the query says which."""
    mailbox = request.args.get("mailbox", "")[:MAX_NAME]
    found: list[dict[str, Any]] = ask(
        "own-expunged-list", socket=OWNER_SOCKET, mailbox=mailbox, limit=LIMIT, headers=True
    )
    return render_template("self/deleted.html", messages=found, mailbox=mailbox, limit=LIMIT)


@bp.post("")
def put_back() -> ResponseReturnValue:
    """The chosen ones back to where they were."""
    mailbox = request.form.get("mailbox", "")[:MAX_NAME]
    wanted = [name[:MAX_ID] for name in request.form.getlist("message")[:LIMIT]]
    if not wanted:
        flash(gettext("Choose the messages that shall come back."), "problem")
        return redirect(url_for("self_deleted.index", mailbox=mailbox or None))
    answers: list[dict[str, Any]] = ask("own-undelete", socket=OWNER_SOCKET, messages=wanted)
    done = sum("uid" in answer for answer in answers)
    if done:
        flash(ngettext("%(num)s message is back.", "%(num)s messages are back.", done))
    for why in dict.fromkeys(answer["error"] for answer in answers if "error" in answer):
        number = sum(answer.get("error") == why for answer in answers)
        text = ngettext("%(num)s message could not come back: %(why)s", "%(num)s messages could not come back: %(why)s", number, why=why)  # fmt: skip
        flash(text, "problem")
    return redirect(url_for("self_deleted.index", mailbox=mailbox or None))
