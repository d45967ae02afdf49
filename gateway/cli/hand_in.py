"""Handing a message in from a program of this host: over the local socket, into the drop folder while nobody answers.

Every recipient has one outcome: taken (by the service, or by the drop folder when the service cannot take him now),
or refused with the service's own words.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import smtplib
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import formataddr
from pathlib import Path

from gateway.config.load import ConfigurationError, load
from gateway.config.settings import LOCAL_SOCKET
from gateway.files.drop import ORIGIN, DropEnvelope, completed, leave

STATE_DIR, RUN_DIR = Path("/var/lib/gatepost"), Path("/run/gatepost")
ANSWER_SECONDS = 300.0
CONNECT_SECONDS = 10.0
_EOL = re.compile(rb"\r?\n")


@dataclass(frozen=True, slots=True)
class Place:
    """Where mail of this host is handed in. `origin` "" is not known (the service knows)."""

    socket: Path
    drop: Path
    origin: str = ""


@dataclass(slots=True)
class Handed:
    """What became of it. `refused`: recipient -> code and words. `dropped`: the service was not there."""

    taken: list[str] = field(default_factory=list)
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


class NotHandedIn(Exception):
    """Neither the service nor the drop folder took it; nobody is responsible but the caller."""


class WholeRefused(Exception):
    """The service refuses the message whoever it is for."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def place(configuration: Path) -> Place:
    """From the configuration; from the places that `gatepost init` writes where this user may not read it."""
    try:
        settings = load(configuration)
    except ConfigurationError:
        if os.access(configuration, os.R_OK):
            raise
        state, run, origin = STATE_DIR, RUN_DIR, ""
    else:
        state, run = Path(settings.state_dir), Path(settings.run_dir)
        origin = settings.route.origin or settings.hostname
    if not origin:
        with contextlib.suppress(OSError):
            origin = (state / "spool" / ORIGIN).read_text(encoding="utf-8")
    return Place(run / LOCAL_SOCKET, state / "spool" / "drop", origin)


def own_name() -> tuple[str, str]:
    """Login and full name of whoever runs this, from the system's users."""
    try:
        account = pwd.getpwuid(os.getuid())
    except KeyError:
        return f"uid-{os.getuid()}", ""
    return account.pw_name, account.pw_gecos.partition(",")[0].replace("&", account.pw_name.capitalize())


class LocalSmtp(smtplib.SMTP):
    """A session with the service over its local socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__("localhost", local_hostname="localhost", timeout=CONNECT_SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.connect(str(self._path))
            sock.settimeout(ANSWER_SECONDS)
        except OSError:
            sock.close()
            raise
        return sock


def hand_in(where: Place, return_path: str, recipients: Sequence[str], content: bytes,
            parameters: dict[str, str] | None = None) -> Handed:  # fmt: skip
    """Hand in `content` (LF line ends). Raises NotHandedIn, WholeRefused, InvalidAddress."""
    result = Handed()
    wanted = list(dict.fromkeys(recipients))
    for address in [*wanted, *([return_path] if return_path else [])]:
        completed(address, where.origin or "localhost")
    later = wanted
    try:
        with LocalSmtp(where.socket) as client:
            later = _transact(client, return_path, wanted, content, result, parameters or {})
    except (OSError, smtplib.SMTPException):  # it is not there, or left before it was responsible
        later = [address for address in wanted if address not in result.refused]
        result.taken.clear()
    if later:
        try:
            leave(where.drop, DropEnvelope(return_path, tuple(later), parameters or {}), [content])
        except OSError as error:
            raise NotHandedIn(f"{where.drop}: {error.strerror}; the service does not take it either") from error
        result.dropped = later
    return result


def _transact(
    client: smtplib.SMTP,
    return_path: str,
    recipients: Sequence[str],
    content: bytes,
    result: Handed,
    parameters: dict[str, str],
) -> list[str]:
    """One transaction; answers the recipients that cannot be taken at the moment."""
    client.ehlo_or_helo_if_needed()
    options = ["SMTPUTF8"] if not "".join((return_path, *recipients)).isascii() else []
    notify: list[str] = []
    if client.has_extn("dsn"):
        options += [f"{name}={parameters[name]}" for name in ("RET", "ENVID") if name in parameters]
        notify += [f"NOTIFY={parameters['NOTIFY']}"] if "NOTIFY" in parameters else []
    code, text = client.mail(return_path, options)
    if code >= 500:
        raise WholeRefused(code, _words(text))
    later, accepted = [], []
    for address in recipients:
        code, text = client.rcpt(address, notify) if code < 400 else (code, text)
        if code >= 500:
            result.refused[address] = (code, _words(text))
        elif code >= 400:
            later.append(address)
        else:
            accepted.append(address)
        code = code if code == 421 else 250
    if not accepted:
        return later
    code, text = client.data(_EOL.sub(b"\r\n", content))
    if code >= 500:
        raise WholeRefused(code, _words(text))
    if code >= 400:
        return [*later, *accepted]
    result.taken = accepted
    return later


def _words(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())


def sender_field(login: str, name: str, where: Place) -> bytes:
    """A From field for `login`, which may be a full address."""
    address = login if "@" in login or not where.origin else f"{login}@{where.origin}"
    return f"From: {formataddr((name, address)) if name else address}\n".encode("utf-8", "replace")
