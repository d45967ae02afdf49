"""Webmail: folders, and the messages of one."""

from __future__ import annotations

from email.header import decode_header, make_header
from typing import Any

from flask import Blueprint, current_app, render_template
from flask.typing import ResponseReturnValue

from webadmin.client import client_address
from webadmin.mail.connections import Mailboxes
from webadmin.page import MAIL, Page
from webadmin.person import person, trusted_proxies

PAGE = Page("Mail", group=MAIL, order=10)
SHOWN = 50
bp = Blueprint("mail", __name__, url_prefix="/mail")


@bp.get("/")
def index() -> ResponseReturnValue:
    """The newest messages of INBOX."""
    mailboxes: Mailboxes = current_app.extensions["gatepost_mailboxes"]
    with mailboxes.of(person(), client_address(trusted_proxies())) as client:
        client.select_folder("INBOX", readonly=True)
        newest = client.sort(["REVERSE ARRIVAL"])[:SHOWN]
        found = client.fetch(newest, ["ENVELOPE", "FLAGS", "RFC822.SIZE"]) if newest else {}
    return render_template("mail/list.html", messages=[_row(found[uid]) for uid in newest if uid in found])


def _row(message: dict[bytes, Any]) -> tuple[str, str]:
    envelope = message[b"ENVELOPE"]
    return str(envelope.from_[0] if envelope.from_ else ""), _decoded(envelope.subject or b"")


def _decoded(text: bytes) -> str:
    return str(make_header(decode_header(text.decode("utf-8", "replace"))))
