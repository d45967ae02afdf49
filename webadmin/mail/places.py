"""What a mail page is asked for: mailbox and message from the address, and links to pages that may be there or not."""

from __future__ import annotations

from typing import Any

from flask import abort, current_app, request, url_for

from webadmin.mail.answers import number

INBOX = "INBOX"
MAX_UID = (1 << 32) - 1
MAX_SELECTED = 10_000  # messages in one form


def asked_mailbox() -> str:
    """The mailbox that the request names, INBOX when it names none."""
    return request.values.get("mailbox", "") or INBOX


def asked_uid() -> int:
    """The message that the request names; 404 for what can be none."""
    uid = number(request.values.get("uid", "").encode()[:12])
    if not 0 < uid <= MAX_UID:
        abort(404)
    return uid


def asked_uids() -> list[int]:
    """The messages that a form names, each once."""
    found: dict[int, None] = {}
    for text in request.form.getlist("uid")[:MAX_SELECTED]:
        for word in text.split(",")[:MAX_SELECTED]:
            uid = number(word.encode()[:12])
            if 0 < uid <= MAX_UID:
                found[uid] = None
    return list(found)[:MAX_SELECTED]


def link(endpoint: str, **arguments: Any) -> str:
    """The address of a page, "" where this front end has no such page."""
    return url_for(endpoint, **arguments) if endpoint in current_app.view_functions else ""
