"""What this host itself writes to people: plain text that nobody's program answers. LF line ends."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

from gateway.mail.dates import date_of

_POLICY = SMTP.clone(linesep="\n", cte_type="7bit")


def notice(author: str | None, recipient: str, subject: str, text: str, *, message_id: str, now: float) -> EmailMessage:
    """The message. Raises ValueError where a field would have a line end in it."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = author
    message["To"] = recipient
    message["Subject"] = subject
    message["Date"] = date_of(now)
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 5
    message.set_content(text, cte="quoted-printable")  # English stays readable in the file
    return message
