"""The table: which services mail programs of people use, on which host and port, protected how.

It comes from `listen`; hosts are `web.client_host`, else this host's name. What is not listened on beyond this host
is no service for others, except where the whole host is (a demo).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.config.settings import Settings

#: RFC 8314 3: protected from the first octet before STARTTLS
ORDER = ("imaps", "imap", "pop3s", "pop3", "submissions", "submission")
STANDARD = {"imaps": 993, "imap": 143, "pop3s": 995, "pop3": 110, "submissions": 465, "submission": 587}


@dataclass(frozen=True, slots=True)
class Service:
    """One way in. `name` as in `listen`."""

    name: str
    protocol: Literal["imap", "pop3", "smtp"]
    host: str
    port: int
    tls: Literal["implicit", "starttls", "none"]


def services(settings: Settings) -> tuple[Service, ...]:
    """What a mail program may use, the best of each protocol first."""
    host = settings.web.client_host or settings.hostname
    found = []
    for name in ORDER:
        listeners = [each for each in settings.listen.get(name, ()) if each.port]  # type: ignore[call-overload]
        outside = [each for each in listeners if not each.address.startswith("127.") and each.address != "::1"]
        for each in (outside or listeners)[:1]:
            protocol: Literal["imap", "pop3", "smtp"] = (
                "imap" if name.startswith("imap") else "pop3" if name.startswith("pop3") else "smtp"
            )
            found.append(Service(name, protocol, host, each.port or 0, each.tls if settings.tls.cert else "none"))
    return tuple(found)


def best(table: tuple[Service, ...], protocol: str) -> Service | None:
    """The first of a protocol."""
    return next((each for each in table if each.protocol == protocol), None)


def srv_records(domain: str, table: tuple[Service, ...], web_host: str) -> list[str]:
    """What a zone file may have for mail programs (RFC 6186, RFC 8314 5.1); `web_host` "" = no autodiscover."""
    records = [
        f"_{each.name}._tcp.{domain}. IN SRV {number} 1 {each.port} {each.host}." for number, each in enumerate(table)
    ]
    if web_host:
        records.append(f"_autodiscover._tcp.{domain}. IN SRV 0 1 443 {web_host}.")
    return records
