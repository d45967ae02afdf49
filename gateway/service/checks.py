"""The content checks that the configuration asks for, in their order, and how their sum changes a message."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache

from gateway.config.settings import Settings
from gateway.filters.authentication import AuthenticationCheck
from gateway.filters.hops import HopCheck
from gateway.filters.port import ContentCheck, Kind, Verdict
from gateway.filters.rspamd import RspamdCheck
from gateway.mail import authentication_results
from gateway.mail.header import Field, Header
from gateway.service.admission import Networks
from gateway.service.network import ClientTls, Dialer
from gateway.service.pools import OTHER, Pools
from gateway.service.resolver import Resolver

JUNK_FIELD = b"X-Spam-Flag: YES\n"


def checks(settings: Settings, pools: Pools) -> tuple[ContentCheck, ...]:
    """Made in the process that runs them."""
    found: list[ContentCheck] = [HopCheck(settings.smtp.max_hops)]
    filters = settings.filters
    if filters.authentication.spf or filters.authentication.dkim:
        found.append(
            AuthenticationCheck(
                filters.authentication, Resolver(settings.dns), time.monotonic, time.time, pools.of(OTHER).run
            )
        )
    if filters.rspamd.url:
        found.append(RspamdCheck(filters.rspamd, Dialer(ClientTls()), time.monotonic))
    return tuple(found)


_networks = lru_cache(maxsize=4)(Networks)


def is_relay(networks: tuple[str, ...], client: str) -> bool:
    """True when the client's address is in one of the networks."""
    return client in _networks(networks)


def forged(header: Header, own: str) -> list[Field]:
    """The Authentication-Results fields that readers would take for ours (RFC 8601 5)."""
    return [
        field
        for field in header.all(authentication_results.NAME)
        if authentication_results.claims(header.unfolded(field), own)
    ]


def without(header: Header, fields: Iterable[Field], removed: Sequence[tuple[bytes, int]]) -> list[bytes]:
    """The content without `fields` and without what a verdict takes out."""
    gone = {field.start: field for field in fields}
    for name, number in removed:
        named = header.all(name)
        for field in named if number == 0 else named[number - 1 : number]:
            gone[field.start] = field
    return header.without_fields(gone.values())


def added(verdict: Verdict, own: str) -> bytes:
    """The fields that a verdict puts in front; `own` is the name under which results are told."""
    lines = [authentication_results.field(own, verdict.results)] if verdict.results else []
    if verdict.kind is Kind.JUNK:
        lines.append(JUNK_FIELD)
    return b"".join([*lines, *verdict.header_lines])
