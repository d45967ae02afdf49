"""Self-service: how much room there is, and which mailboxes take it."""

from __future__ import annotations

import contextlib

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue
from imapclient.exceptions import IMAPClientError

from webadmin.client import client_address
from webadmin.mail.connections import Mailboxes
from webadmin.mail.folders import title_of, use_of
from webadmin.page import SELF, Page
from webadmin.person import person, trusted_proxies

PAGE = Page("Storage", group=SELF, order=45)
MAX_LOOKED_AT = 500  # mailboxes
SHOWN = 20
KIBI = 1024
bp = Blueprint("self_storage", __name__, url_prefix="/self/storage")


@bp.get("")
def index() -> ResponseReturnValue:
    """The quota, and the largest of his own mailboxes."""
    mailboxes: Mailboxes = current_app.extensions["gatepost_mailboxes"]
    used: dict[str, tuple[int, int]] = {}
    found = []
    with mailboxes.of(person(), client_address(trusted_proxies())) as client:
        with contextlib.suppress(IMAPClientError):
            for quota in client.get_quota_root("INBOX")[1]:
                used[quota.resource] = (int(quota.usage), int(quota.limit))
        own = [
            (name, title_of(use_of(name, {flag.lower() for flag in flags})) or name)
            for flags, _, name in client.list_folders()
            if b"\\Noselect" not in flags and not name.startswith(("Shared/", "Other Users/"))
        ]
        for name, title in own[:MAX_LOOKED_AT]:
            with contextlib.suppress(IMAPClientError):
                status = client.folder_status(name, ["MESSAGES", "SIZE"])
                found.append((int(status[b"SIZE"]), int(status[b"MESSAGES"]), title))
    found.sort(reverse=True)
    storage = used.get("STORAGE")
    return render_template(
        "self/storage.html",
        used=storage[0] * KIBI if storage else sum(size for size, _, _ in found),
        limit=storage[1] * KIBI if storage else 0,
        messages=used.get("MESSAGE"),
        mailboxes=found[:SHOWN],
        left_out=max(0, len(found) - SHOWN),
        total=sum(size for size, _, _ in found),
    )
