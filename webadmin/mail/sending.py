"""Messages handed in by submission, in the name of whoever is logged in (RFC 6409), through the web's own socket."""

from __future__ import annotations

import base64
import re
import smtplib
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from webadmin.backend import NotPossible, SessionEnded, Unavailable
from webadmin.mail.connections import proxy_header
from webadmin.person import Person

SOCKET = "web-submission.sock"
ANSWER_SECONDS = 120.0  # content checks take their time
_ID = re.compile(r"\b(?:id=|as )?([A-Za-z0-9][A-Za-z0-9._-]{9,79})\s*$")


@dataclass(frozen=True, slots=True)
class Sent:
    """It was taken; `id` names it in queue and trace, `is_held` tells that it waits as wished."""

    id: str
    is_held: bool


class RecipientsRefused(NotPossible):
    """Nothing was sent, because of these recipients: address -> what the service said of it."""

    def __init__(self, refused: dict[str, str]) -> None:
        super().__init__("; ".join(f"{address}: {why}" for address, why in refused.items()))
        self.refused = refused


class _Connection(smtplib.SMTP):
    """smtplib on a unix socket that begins with a PROXY header."""

    def __init__(self, path: Path, address: str) -> None:
        self._path, self._client = path, address
        super().__init__(local_hostname="localhost", timeout=ANSWER_SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(str(self._path))
            sock.sendall(proxy_header(self._client))
        except OSError:
            sock.close()
            raise
        return sock


def send(
    run_dir: Path,
    person: Person,
    client: str,
    message: bytes,
    *,
    return_path: str,
    recipients: tuple[str, ...],
    utf8: bool,
    receipt: bool = False,
    hold_seconds: int = 0,
    hold_until: float = 0.0,
) -> Sent:
    """Hand a message in for all recipients or for none.

    `hold_seconds`: let it wait so long where the service can; `hold_until`: it must not go before (unix time).
    Raises RecipientsRefused, NotPossible, Unavailable, SessionEnded.
    """
    connection = _Connection(run_dir / SOCKET, client)
    try:
        connection.connect("localhost")
        connection.ehlo_or_helo_if_needed()
        _log_in(connection, person)
        connection.ehlo()  # FUTURERELEASE and the limits are of those who are logged in
        longest = int((connection.esmtp_features.get("futurerelease", "").split() or ["0"])[0])
        options = ["BODY=8BITMIME", f"SIZE={len(message)}"]
        is_held = False
        if hold_until:
            if not longest:
                raise NotPossible("this service sends at once: smtp.max_hold is 0")
            options.append(f"HOLDUNTIL={datetime.fromtimestamp(hold_until, UTC):%Y-%m-%dT%H:%M:%SZ}")
            is_held = True
        elif hold_seconds and longest >= hold_seconds:
            options.append(f"HOLDFOR={hold_seconds}")
            is_held = True
        if utf8:
            connection.command_encoding = "utf-8"
            options.append("SMTPUTF8")
        if receipt:
            options.append("RET=HDRS")
        _expect(connection.mail(return_path, options))
        refused = {}
        for recipient in recipients:
            code, text = connection.rcpt(recipient, ["NOTIFY=SUCCESS,FAILURE,DELAY"] if receipt else [])
            if code not in (250, 251):
                refused[recipient] = f"{code} {_said(text)}"
        if refused:
            raise RecipientsRefused(refused)
        code, text = connection.data(message)
        _expect((code, text))
        found = _ID.search(_said(text))
        return Sent(found[1] if found else "", is_held)
    except (smtplib.SMTPException, OSError) as error:
        if isinstance(error, smtplib.SMTPResponseException):
            _expect((error.smtp_code, error.smtp_error))
        raise Unavailable("submission", str(error)) from None
    finally:
        connection.close()


def _log_in(connection: smtplib.SMTP, person: Person) -> None:
    proof = base64.b64encode(f"\0{person.login}\0{person.token}".encode()).decode()
    code, text = connection.docmd("AUTH", f"PLAIN {proof}")
    if code == 535:
        raise SessionEnded
    _expect((code, text), good=235)


def _said(text: bytes | str) -> str:
    return " ".join((text.decode("utf-8", "replace") if isinstance(text, bytes) else text).split())


def _expect(answer: tuple[int, bytes | str], good: int = 250) -> None:
    """Raises NotPossible for a lasting no, Unavailable for any other."""
    code, text = answer
    if code == good:
        return
    if 500 <= code < 600:
        raise NotPossible(f"{code} {_said(text)}")
    raise Unavailable("submission", f"{code} {_said(text)}")
