"""A journal's copy of a message: a report that names its envelope, with the message as it came behind it.

The first part is text with a field a line (Sender, Subject, Message-Id, Recipient), as archives know it from the
journal reports of Exchange, which are told by the same field, X-MS-Journal-Report; the second is the message. Nothing
from outside can begin a line of its own. LF line ends.

X-Gatepost-Journal says who made the report. A site that finds its own mark in a message knows that its journal leads
back to it; marks of other sites are handed on, so that two sites that journal to each other see it too.
"""

from __future__ import annotations

import hmac
import quopri
from base64 import b32encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.header import Header as EncodedText

from gateway.mail.dates import date_of
from gateway.mail.dsn import clean, folded
from gateway.mail.header import Header
from gateway.mime.encoded import decode_header_text

MARK = b"x-gatepost-journal"
MAX_MARKS = 20  # of other sites that are handed on
MAX_MARK = 200  # octets
MAX_SUBJECT = 500  # characters
MAX_NAMED = 2000  # lines for recipients; a message has no more of them than `smtp.max_recipients`, but lists are long
TOKEN_OCTETS = 15


@dataclass(frozen=True, slots=True)
class Named:
    """A recipient as the client gave it, and who gets the message for it where that is somebody else."""

    address: str
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalReport:
    """What stands in a report. `id` is its own, `message` that of the message; `mark` its mark, "" = none."""

    id: str
    message: str
    host: str
    author: str
    addresses: tuple[str, ...]
    sender: str
    recipients: tuple[Named, ...]
    arrival: float
    client: str
    service: str
    login: str
    mark: str
    utf8: bool


def mark_of(key: bytes, report: str) -> str:
    """The mark of a report: its id and a keyed hash, so that nobody can keep his mail out of a journal with it."""
    token = b32encode(hmac.digest(key, f"journal {report}".encode(), "sha256")[:TOKEN_OCTETS]).decode("ascii").lower()
    return f"{report} {token}"


def marks(header: Header) -> list[str]:
    """The marks that a message carries."""
    found = [header.unfolded(field)[:MAX_MARK].decode("ascii", "replace") for field in header.all(MARK)]
    return [clean(text, MAX_MARK) for text in found[:MAX_MARKS]]


def is_own(key: bytes, mark: str) -> bool:
    """True for a mark that this site made."""
    return hmac.compare_digest(mark_of(key, mark.partition(" ")[0]).encode(), mark.encode())


def compose(report: JournalReport, header: Header) -> tuple[bytes, bytes]:
    """What stands before and behind the message, whose fields are in `header`."""
    subject = _first(header, b"subject", MAX_SUBJECT)
    text = "\n".join(_lines(report, subject, _first(header, b"message-id", 300))) + "\n"
    octets = text.encode("utf-8", "replace")
    encoding = "7bit"
    if not octets.isascii():
        octets, encoding = quopri.encodestring(octets), "quoted-printable"
    # made after the message came, of a keyed hash where there is a key: it cannot hold this
    boundary = f"=_journal_{report.mark.rpartition(' ')[2] or report.id[-50:]}"
    fields = [
        ("From", f"Journal <{report.author}>"),
        ("To", ", ".join(f"<{address}>" for address in report.addresses)),
        ("Subject", subject if subject.isascii() or report.utf8 else EncodedText(subject, "utf-8").encode()),
        ("Date", date_of(report.arrival)),
        ("Message-ID", f"<{report.id}@{report.host}>"),
        ("Auto-Submitted", "auto-generated"),  # RFC 3834 5
        ("X-MS-Journal-Report", ""),
        *[("X-Gatepost-Journal", mark) for mark in (report.mark, *marks(header)) if mark],
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/mixed; boundary="{boundary}"'),
        ("Content-Transfer-Encoding", "8bit"),
    ]
    kind = "message/global" if report.utf8 else "message/rfc822"
    head = folded(fields, report.utf8).encode("utf-8", "replace")
    front = (
        f"\n--{boundary}\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {encoding}\n\n".encode()
    )
    second = f"\n--{boundary}\nContent-Type: {kind}\nContent-Transfer-Encoding: 8bit\n\n".encode()
    return head + front + octets + second, f"\n--{boundary}--\n".encode()


def _first(header: Header, name: bytes, limit: int) -> str:
    found = header.all(name)
    return clean(decode_header_text(header.unfolded(found[0])[: 4 * limit]), limit) if found else ""


def _lines(report: JournalReport, subject: str, message_id: str) -> Iterator[str]:
    yield f"Sender: {clean(report.sender) or '<>'}"
    yield f"Subject: {subject}"
    yield f"Message-Id: {message_id}"
    lines = [line for named in report.recipients for line in _recipient(named)]
    yield from lines[:MAX_NAMED]
    if len(lines) > MAX_NAMED:
        yield f"More-Recipients: {len(lines) - MAX_NAMED}"
    yield f"Received: {date_of(report.arrival)}"
    yield f"Client: {clean(report.client)}"
    yield f"Service: {report.service}"
    if report.login:
        yield f"Login: {clean(report.login)}"
    yield f"Queue-Id: {report.message}"


def _recipient(named: Named) -> Sequence[str]:
    if not named.behind:
        return [f"Recipient: {clean(named.address)}"]
    return [f"Recipient: {clean(address)}, Expanded: {clean(named.address)}" for address in named.behind]
