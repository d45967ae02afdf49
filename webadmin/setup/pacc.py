"""Provider automatic configuration for clients (draft-ietf-mailmaint-pacc): one JSON document a domain, which knows hosts
but no ports, so only services on their own ports, protected from the first octet, can stand in it."""

from __future__ import annotations

from typing import Any

from webadmin.setup.services import STANDARD, Service


def document(domain: str, table: tuple[Service, ...], help_url: str) -> dict[str, Any] | None:
    """The document; None where no service can stand in it."""
    protocols = {
        each.protocol: {"host": each.host}
        for each in reversed(table)
        if each.tls == "implicit" and each.port == STANDARD[each.name]
    }
    if not protocols:
        return None
    info: dict[str, Any] = {"provider": {"name": domain}}
    if help_url:
        info["help"] = {"documentation": help_url}
    return {"protocols": protocols, "authentication": {"password": True}, "info": info}
