"""DNS records of what the front end serves for domains, beside those of mail itself, which the verb `domain-dns` knows."""

from __future__ import annotations

import contextlib
import hashlib

from flask import current_app

from directory.model import InvalidAddress, canonical_domain
from gateway.config.settings import Settings
from webadmin.setup import mta_sts
from webadmin.setup.services import Service


def also_wanted(domain: str) -> list[dict[str, str]]:
    """The records of what the front end serves for a domain: set-up of mail programs, the MTA-STS policy."""
    with contextlib.suppress(InvalidAddress):  # the verb says what is wrong with it
        domain = canonical_domain(domain)
    settings: Settings = current_app.extensions["gatepost_configuration"]
    table: tuple[Service, ...] = current_app.extensions["gatepost_services"]
    host = settings.web.client_host or settings.hostname
    records = [
        {"purpose": "programs", "name": f"_{each.name}._tcp.{domain}", "kind": "SRV", "value": f"0 1 {each.port} {each.host}."}
        for each in table
    ]  # fmt: skip
    records += [
        {"purpose": "setup", "name": f"{name}.{domain}", "kind": "HOST", "value": f"CNAME {host}."}
        for name in ("autoconfig", "autodiscover")
    ]
    policy = mta_sts.document(settings.web.mta_sts, settings.hostname)
    if policy is not None:
        # any text will do that changes with the policy (RFC 8461 3.1)
        mark = hashlib.sha256(policy.encode()).hexdigest()[:16]
        records += [
            {"purpose": "sts", "name": f"_mta-sts.{domain}", "kind": "TXT", "value": f"v=STSv1; id={mark}"},
            {"purpose": "sts", "name": f"mta-sts.{domain}", "kind": "HOST", "value": f"CNAME {host}."},
        ]
    return records
