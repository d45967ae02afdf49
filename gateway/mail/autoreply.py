"""An automatic reply as a message (RFC 3834 3.1, RFC 5230 5). LF line ends."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from gateway.mail.dates import date_of
from gateway.mail.dsn import clean
from gateway.mail.header import Header
from gateway.mime.encoded import decode_header_text

MAX_SUBJECT = 200  # characters
MAX_REFERENCES = 2000  # octets; the oldest go first
_ASCII = SMTP.clone(linesep="\n")
_UTF8 = SMTP.clone(linesep="\n", utf8=True)  # RFC 6532, for addresses that have no other form


def _first(header: Header, name: bytes) -> bytes:
    found = header.all(name)
    return header.unfolded(found[0]) if found else b""


def _subject(header: Header) -> str:
    return clean(decode_header_text(_first(header, b"subject")), MAX_SUBJECT)


def _references(header: Header) -> tuple[str, str]:
    """(In-Reply-To, References) of an answer (RFC 5322 3.6.4)."""
    message_id = _first(header, b"message-id").decode("ascii", "ignore").strip()
    if not message_id or any(c.isspace() or not c.isprintable() for c in message_id):
        return "", ""
    before = _first(header, b"references").decode("ascii", "ignore").split()
    while before and sum(map(len, before)) + len(before) + len(message_id) > MAX_REFERENCES:
        del before[0]
    return message_id, " ".join([*before, message_id])


def compose(
    header: Header,
    *,
    author: str,
    name: str,
    recipient: str,
    subject: str,
    text: str,
    message_id: str,
    now: float,
) -> bytes:
    """The reply of `author` (an address; `name` as shown) to `recipient` about the message that `header` is of.

    An empty `subject` becomes "Auto: " and the subject of the message (RFC 5230 5.6). Raises ValueError for
    an address that cannot stand in a header.
    """
    reply = EmailMessage(policy=_ASCII if author.isascii() and recipient.isascii() else _UTF8)
    local, _, domain = author.rpartition("@")
    reply["From"] = Address(clean(name, MAX_SUBJECT), local, domain)
    reply["To"] = Address("", *recipient.rsplit("@", 1))
    reply["Subject"] = clean(subject, MAX_SUBJECT) or f"Auto: {_subject(header)}".strip()
    reply["Date"] = date_of(now)
    reply["Message-ID"] = message_id
    replied_to, references = _references(header)
    if replied_to:
        reply["In-Reply-To"] = replied_to
        reply["References"] = references
    reply["Auto-Submitted"] = "auto-replied (vacation)"
    reply["X-Auto-Response-Suppress"] = "All"
    reply.set_content(text if text.endswith("\n") else f"{text}\n")
    return reply.as_bytes()
