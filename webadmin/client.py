"""Where the person at the browser sits: his own address, or what a proxy of `web.trusted_proxies` says of him."""

from __future__ import annotations

from flask import request

from gateway.service.admission import Networks

MAX_HOPS = 20


def client_address(trusted: Networks) -> str:
    """The address that the request came from: the last one that is no trusted proxy's."""
    address = request.remote_addr or ""
    if address not in trusted:
        return address
    for hop in reversed(request.headers.get("X-Forwarded-For", "").split(",")[-MAX_HOPS:]):
        hop = hop.strip()
        if not hop:
            break
        address = hop.partition("%")[0].strip("[]")
        if address not in trusted:
            break
    return address


def is_https(trusted: Networks) -> bool:
    """True when the browser's side of the connection is encrypted, as far as we or a trusted proxy know."""
    if request.environ.get("gatepost.tls"):
        return True
    return (request.remote_addr or "") in trusted and request.headers.get("X-Forwarded-Proto", "") == "https"
