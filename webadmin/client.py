"""Where the person at the browser sits: his own address, or what a proxy of `web.trusted_proxies` says of him."""

from __future__ import annotations

from ipaddress import ip_address

from flask import request

from gateway.service.admission import Networks

MAX_HOPS = 20


def address_of(remote: str, forwarded: str, trusted: Networks) -> str:
    """The last address that is no trusted proxy's; `forwarded` is X-Forwarded-For. What is no address there ends the
    search: nothing before it can be believed."""
    address = remote
    if address not in trusted:
        return address
    for hop in reversed(forwarded.split(",")[-MAX_HOPS:]):
        try:
            found = ip_address(hop.strip().partition("%")[0].strip("[]"))
        except ValueError:
            break
        address = str(found)
        if address not in trusted:
            break
    return address


def client_address(trusted: Networks) -> str:
    """The address that the request came from."""
    return address_of(request.remote_addr or "", request.headers.get("X-Forwarded-For", ""), trusted)


def is_https(trusted: Networks) -> bool:
    """True when the browser's side of the connection is encrypted, as far as we or a trusted proxy know."""
    if request.environ.get("gatepost.tls"):
        return True
    return (request.remote_addr or "") in trusted and request.headers.get("X-Forwarded-Proto", "") == "https"
