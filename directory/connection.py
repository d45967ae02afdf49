"""Connections to the directory servers: order of servers, time limits, verified TLS, the service bind.

Every connection is opened here, so the settings that experience demands hold everywhere: no schema
read, no alias dereference (slapd refuses syncrepl with it), referrals never chased, both time limits.
"""

from __future__ import annotations

import math
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import ldap3
import msgspec
from ldap3.core.exceptions import LDAPException

from directory.model import Condition, Deferred


class Bind(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How Gatepost itself logs in to the directory."""

    dn: str = ""
    password_file: str = ""
    sasl_external: bool = False


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the servers' certificates are checked."""

    ca_file: str = ""
    verify: str = "full"
    starttls: bool = False


class Timeout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds to wait for a connection and for an answer."""

    connect: float = 3.0
    op: float = 5.0


class DirectorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the directory is and how it is read (configuration section `directory`)."""

    servers: tuple[str, ...] = ("ldap://127.0.0.1",)
    base: str = ""
    profile: str = "native"
    source: str = "directory"
    bind: Bind = Bind()
    tls: Tls = Tls()
    timeout: Timeout = Timeout()
    page_size: int = 500


class Servers:
    """Opens connections to the first server that answers."""

    def __init__(self, settings: DirectorySettings) -> None:
        self._settings = settings

    def _server(self, url: str) -> ldap3.Server:
        parts = urlsplit(url)
        timeout = self._settings.timeout.connect
        if parts.scheme == "ldapi":
            return ldap3.Server(f"ldapi://{unquote(parts.netloc)}", get_info=ldap3.NONE, connect_timeout=timeout)
        tls = self._settings.tls
        secure = parts.scheme == "ldaps" or tls.starttls
        context = (
            ldap3.Tls(
                validate=ssl.CERT_REQUIRED if tls.verify == "full" else ssl.CERT_NONE,
                ca_certs_file=tls.ca_file or None,
            )
            if secure
            else None
        )
        return ldap3.Server(
            parts.hostname or "127.0.0.1",
            parts.port or (636 if parts.scheme == "ldaps" else 389),
            use_ssl=parts.scheme == "ldaps",
            tls=context,
            get_info=ldap3.NONE,
            connect_timeout=timeout,
        )

    def service_password(self) -> str:
        """The password of the service bind, read anew so that a rotated file counts at once."""
        path = self._settings.bind.password_file
        if not path:
            return ""
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"directory.bind.password_file: {error}") from error

    def open(
        self,
        strategy: str = ldap3.SAFE_SYNC,
        *,
        user: str | None = None,
        password: str | None = None,
        bind: bool = True,
        patient: bool = False,
    ) -> ldap3.Connection:
        """A connection to the first server that answers, bound as the service account unless told otherwise.

        `patient`: no time limit on answers, for a search that never ends.

        Raises Deferred when no server answers or the service bind is refused.
        """
        options: dict[str, Any] = {}
        if self._settings.bind.sasl_external and user is None:
            options = {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.EXTERNAL, "sasl_credentials": ""}
        else:
            options = {
                "user": user if user is not None else self._settings.bind.dn,
                "password": password if password is not None else self.service_password(),
            }
        reasons = []
        for url in self._settings.servers:
            try:
                connection = ldap3.Connection(
                    self._server(url),
                    client_strategy=strategy,  # type: ignore[arg-type]
                    auto_referrals=False,
                    check_names=False,
                    raise_exceptions=False,
                    receive_timeout=None if patient else math.ceil(self._settings.timeout.op),
                    return_empty_attributes=False,
                    **options,
                )
                connection.open()
                if self._settings.tls.starttls and not url.startswith("ldaps"):
                    connection.start_tls()
                if bind:
                    connection.bind()
                    if not connection.bound:
                        result = connection.result or {}
                        reasons.append(
                            f"{url}: bind as {options.get('user', 'EXTERNAL')}: {result.get('description', 'refused')}"
                        )
                        connection.unbind()
                        continue
            except (LDAPException, OSError) as error:
                reasons.append(f"{url}: {error}")
                continue
            return connection
        raise Deferred(Condition.DIRECTORY_UNAVAILABLE, "; ".join(reasons) or "directory.servers is empty")
