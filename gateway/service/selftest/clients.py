"""Clients of the listeners of this host, as the configuration names them: SMTP, LMTP, IMAP and POP3, with TLS where it is.

Certificates are not looked at here: that is a test of its own, and the others tell of mail.
"""

from __future__ import annotations

import imaplib
import ipaddress
import poplib
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from gateway.config.settings import Listener, Service, Settings
from gateway.service.selftest.case import Failed, Skipped

_ID = re.compile(r"id=(\S+)")
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # what such a listener is reached at
NAME = "selftest.invalid"  # in EHLO
Dial = Callable[[], socket.socket]


def address_of(listener: Listener) -> str:
    """Where a listener is reached from this host."""
    return _ANY.get(listener.address, listener.address)


def where(listener: Listener) -> str:
    """The same for a person."""
    return listener.path or f"{address_of(listener)}:{listener.port}"


def open_context() -> ssl.SSLContext:
    """TLS with whoever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def dial(listener: Listener, seconds: float) -> socket.socket:
    """A connection to a listener, behind the PROXY header that it wants of this address. Raises OSError."""
    if listener.path:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(seconds)
            sock.connect(listener.path)
        except OSError:
            sock.close()
            raise
        return sock
    sock = socket.create_connection((address_of(listener), listener.port or 0), seconds)
    own = ipaddress.ip_address(sock.getsockname()[0])
    if any(own in ipaddress.ip_network(network, strict=False) for network in listener.proxy_from):
        sock.sendall(b"PROXY UNKNOWN\r\n")
    return sock


def _dialled(listener: Listener, seconds: float) -> socket.socket:
    """The same, under TLS where the listener begins with it."""
    sock = dial(listener, seconds)
    if listener.tls != "implicit":
        return sock
    try:
        return open_context().wrap_socket(sock)
    except OSError:
        sock.close()
        raise


class _Smtp(smtplib.SMTP):
    """A session over a connection of ours."""

    def __init__(self, connect: Dial, seconds: float, hello: str) -> None:
        self._connect, self.ehlo_msg = connect, hello
        super().__init__("localhost", local_hostname=NAME, timeout=seconds)

    def _get_socket(self, host: str, port: int, timeout: float | None) -> socket.socket:
        return self._connect()


class _Imap(imaplib.IMAP4):
    """The same for IMAP."""

    def __init__(self, connect: Dial, seconds: float) -> None:
        self._dial = connect
        super().__init__("localhost", timeout=seconds)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._dial()


class _Pop3(poplib.POP3):
    """The same for POP3."""

    def __init__(self, connect: Dial, seconds: float) -> None:
        self._dial = connect
        super().__init__("localhost", timeout=seconds)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return self._dial()


@contextmanager
def smtp(listener: Listener, seconds: float, *, hello: str = "ehlo", tls: bool = False) -> Iterator[smtplib.SMTP]:
    """A session that has said EHLO (`hello` lhlo: LHLO), under TLS with `tls`. Raises OSError, SMTPException."""
    client = _Smtp(lambda: _dialled(listener, seconds), seconds, hello)
    try:
        client.ehlo()
        if tls and listener.tls == "starttls":
            client.starttls(context=open_context())
            client.ehlo()
        yield client
    finally:
        with suppress(OSError, smtplib.SMTPException):
            client.quit()
        client.close()


def _first(settings: Settings, *services: Service) -> Listener | None:
    return next((listener for service in services for listener in settings.listen.get(service, ())), None)


def mx(settings: Settings) -> Listener:
    """Where other hosts bring mail. Raises Skipped."""
    listener = _first(settings, "mx")
    if listener is None:
        raise Skipped("there is no listen.mx: this host takes no mail from others")
    return listener


def lmtp(settings: Settings) -> Listener:
    """Where other gateways bring mail. Raises Skipped."""
    listener = _first(settings, "lmtp")
    if listener is None:
        raise Skipped("there is no listen.lmtp")
    return listener


def local(settings: Settings) -> Listener:
    """Where programs of this host hand mail in."""
    return settings.listeners()["local"][0]


def _takes_logins(settings: Settings, listener: Listener) -> bool:
    allowed = settings.auth.plaintext
    is_loopback = not listener.path and ipaddress.ip_address(address_of(listener)).is_loopback
    return listener.tls != "none" or allowed == "always" or (allowed == "loopback" and is_loopback)


def _for_logins(settings: Settings, *services: Service) -> Listener | None:
    """The first listener of these services that takes logins from this host."""
    listeners = (listener for service in services for listener in settings.listen.get(service, ()))
    return next((listener for listener in listeners if _takes_logins(settings, listener)), None)


def submission(settings: Settings) -> Listener:
    """Where a mail program sends. Raises Skipped."""
    listener = _for_logins(settings, "submission", "submissions")
    if listener is None:
        raise Skipped("there is no listen.submission or listen.submissions that takes logins")
    return listener


def imap(settings: Settings, login: str, password: str, seconds: float) -> imaplib.IMAP4:
    """A session that is logged in. Raises Skipped, Failed, OSError, imaplib.IMAP4.error."""
    listener = _for_logins(settings, "imaps", "imap")
    if listener is None:
        raise Skipped("there is no listen.imaps or listen.imap that takes logins: nothing can be read back")
    client = _Imap(lambda: _dialled(listener, seconds), seconds)
    try:
        if listener.tls == "starttls":
            client.starttls(open_context())
        client.login(login, password)
    except imaplib.IMAP4.error as error:
        close(client)
        raise Failed(
            f"IMAP at {where(listener)} lets {login} log in", str(error), f"gatepost doctor login {login}"
        ) from None
    except BaseException:
        close(client)
        raise
    return client


def pop3(settings: Settings, login: str, password: str, seconds: float) -> poplib.POP3:
    """A session that is logged in. Raises Skipped, Failed, OSError, poplib.error_proto."""
    listener = _for_logins(settings, "pop3s", "pop3")
    if listener is None:
        raise Skipped("there is no listen.pop3s or listen.pop3 that takes logins")
    client = _Pop3(lambda: _dialled(listener, seconds), seconds)
    try:
        if listener.tls == "starttls":
            client.stls(open_context())
        client.user(login)
        client.pass_(password)
    except poplib.error_proto as error:
        close_pop3(client)
        raise Failed(
            f"POP3 at {where(listener)} lets {login} log in", str(error), f"gatepost doctor login {login}"
        ) from None
    except BaseException:
        close_pop3(client)
        raise
    return client


def close_pop3(client: poplib.POP3) -> None:
    """End a session, whatever state it is in."""
    with suppress(OSError, poplib.error_proto):
        client.quit()
    client.close()


def close(client: imaplib.IMAP4) -> None:
    """End a session, whatever state it is in."""
    with suppress(OSError, imaplib.IMAP4.error):
        client.sock.settimeout(2.0)
        client.logout()
    with suppress(OSError):
        client.sock.close()


def said(code: int, text: bytes) -> str:
    """A reply as it came."""
    return f"{code} {' '.join(text.decode('utf-8', 'replace').split())}"


def _octets(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def send(client: smtplib.SMTP, return_path: str, recipient: str, content: bytes) -> str:
    """One message to one recipient; the id that the service gave it. Raises Failed where it is not taken."""
    for what, command in (
        (f"MAIL FROM:<{return_path}>", partial(client.mail, return_path)),
        (f"RCPT TO:<{recipient}>", partial(client.rcpt, recipient)),
        ("the message", partial(client.data, content)),
    ):
        try:
            code, text = command()
        except smtplib.SMTPResponseException as error:  # DATA itself was refused
            code, text = error.smtp_code, _octets(error.smtp_error)
        if code != 250:
            raise Failed(
                f"250 for {what}", said(code, text), f"gatepost doctor address {recipient}, and the log of the service"
            )
    match = _ID.search(text.decode("utf-8", "replace"))
    if match is None:
        raise Failed("250 with the id of the message", said(code, text), "is this listener Gatepost's? gatepost ps")
    return match[1]
