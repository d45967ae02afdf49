"""TLS to the directory servers, verified by the standard library: chain, name or address, time.

ldap3's own check knows no addresses in certificates; its StartTLS is done in a thread that loses the reason
of a failure, and what was not done it only reports. Here both happen while the connection is opened.
"""

from __future__ import annotations

import socket
import ssl

import ldap3

from directory.settings import Tls
from directory.tracker.sync_protocol import SyncFormat, elements

#: message 1, ExtendedRequest 1.3.6.1.4.1.1466.20037
_REQUEST = bytes.fromhex("301d02010177188016") + b"1.3.6.1.4.1.1466.20037"

HELP = "directory.tls.ca_file must hold the authority of the server's certificate, and that must name the server as directory.servers does"


def tls_context(settings: Tls) -> ssl.SSLContext:
    """The context for client connections. Raises OSError when `ca_file` cannot be read or holds no certificate."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as error:
        raise OSError(f"directory.tls.ca_file {settings.ca_file}: {error.strerror or error}") from error
    if settings.verify == "none":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class VerifiedTls(ldap3.Tls):
    """Wraps the socket of a connection while it is opened; `starttls`: after the StartTLS exchange."""

    def __init__(self, context: ssl.SSLContext, *, starttls: bool) -> None:
        super().__init__(validate=context.verify_mode)
        self._context = context
        self._starttls = starttls

    def wrap_socket(self, connection: ldap3.Connection, do_handshake: bool = False) -> None:
        """Called by ldap3 when it has connected. Raises OSError."""
        if self._starttls:
            start_tls(connection.socket)
        connection.socket = self._context.wrap_socket(
            connection.socket, server_hostname=connection.server.host, do_handshake_on_connect=True
        )


def start_tls(connected: socket.socket) -> None:
    """Ask for TLS (RFC 4511 4.14) on a connection on which nothing was said yet. Raises OSError.

    No octet behind the answer is read: what somebody put in between never reaches the encrypted session.
    """
    connected.sendall(_REQUEST)
    code = _result(_read_message(connected))
    if code != 0:
        raise OSError(f"the server does not start TLS: result {code}")


def _read_message(connected: socket.socket) -> bytes:
    head = _read(connected, 2)
    if head[0] != 0x30:
        raise OSError("the server's answer to StartTLS is not LDAP")
    length = head[1]
    if length & 0x80:
        count = length & 0x7F
        if not 0 < count <= 2:
            raise OSError("the server's answer to StartTLS is too long")
        length = int.from_bytes(_read(connected, count), "big")
    return _read(connected, length)


def _read(connected: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connected.recv(count - len(data))
        if not more:
            raise OSError("the server closed the connection at StartTLS")
        data += more
    return data


def _result(message: bytes) -> int:
    try:
        for tag, content in elements(message):
            if tag == 0x78:  # ExtendedResponse
                return int.from_bytes(elements(content)[0][1], "big")
    except (SyncFormat, IndexError):
        pass
    raise OSError("the server's answer to StartTLS cannot be read")
