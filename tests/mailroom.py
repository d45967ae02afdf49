"""Messages for the pages that read mail: put by IMAP into mailboxes of a test's own."""

from __future__ import annotations

import imaplib
import re
import ssl
import uuid
from typing import TYPE_CHECKING

from imapclient.imap_utf7 import encode

if TYPE_CHECKING:
    from conftest import RunningDemo


def wire(mailbox: str) -> str:
    """A mailbox's name in a command."""
    return '"' + encode(mailbox).decode().replace("\\", "\\\\").replace('"', '\\"') + '"'


class Mailroom:
    """One person's mail, by IMAP beside the pages."""

    def __init__(self, demo: RunningDemo, login: str) -> None:
        context = ssl.create_default_context(cafile=demo.facts["ca_file"])
        self.imap = imaplib.IMAP4_SSL("localhost", demo.facts["ports"]["imaps"], ssl_context=context, timeout=60)
        self.imap.login(login, f"{login}-demo-password")

    def mailbox(self, name: str = "") -> str:
        """A new mailbox."""
        name = name or f"box-{uuid.uuid4().hex[:8]}"
        assert self.imap.create(wire(name))[0] == "OK"
        return name

    def add(self, mailbox: str, message: bytes | str, flags: str = "") -> int:
        """Put a message into it; its UID."""
        octets = message.encode() if isinstance(message, str) else message
        if b"\r\n" not in octets:
            octets = octets.replace(b"\n", b"\r\n")
        kind, data = self.imap.append(wire(mailbox), flags, "", octets)
        assert kind == "OK", data
        found = re.search(rb"APPENDUID \d+ (\d+)", data[0])
        assert found is not None, data
        return int(found[1])

    def flags(self, mailbox: str, uid: int) -> str:
        """Of a message, as the server says them; "" when it is not there."""
        assert self.imap.select(wire(mailbox), readonly=True)[0] == "OK"
        _, data = self.imap.uid("FETCH", str(uid), "(FLAGS)")
        found = re.search(rb"FLAGS \(([^)]*)\)", data[0] or b"") if data else None
        return found[1].decode() if found else ""

    def count(self, mailbox: str) -> int:
        """Messages in it; -1 when there is no such mailbox."""
        kind, data = self.imap.select(wire(mailbox), readonly=True)
        return int(data[0]) if kind == "OK" else -1

    def close(self) -> None:
        self.imap.logout()


def letter(
    text: str, subject: str = "A letter", *fields: str, author: str = "Ann Author <ann@elsewhere.example>"
) -> str:
    """A plain message."""
    head = [f"From: {author}", "To: felix@example.org", f"Subject: {subject}", "Date: Mon, 23 Nov 2026 10:00:00 +0000", *fields]  # fmt: skip
    if not any(field.lower().startswith("content-type:") for field in fields):
        head.append("Content-Type: text/plain; charset=utf-8")
    return "\n".join([*head, "MIME-Version: 1.0", "", text])
