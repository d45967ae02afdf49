"""The content checks that the configuration asks for, in their order, and how their sum changes a message."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import lru_cache

from gateway.config.settings import Settings
from gateway.filters.hops import HopCheck
from gateway.filters.port import ContentCheck, Kind, Verdict
from gateway.filters.rspamd import RspamdCheck
from gateway.mail import authentication_results
from gateway.mail.header import Field, Header
from gateway.service.admission import Networks
from gateway.service.network import ClientTls, Dialer

JUNK_FIELD = b"X-Spam-Flag: YES\n"


def checks(settings: Settings) -> tuple[ContentCheck, ...]:
    """Made in the process that runs them."""
    found: list[ContentCheck] = [HopCheck(settings.smtp.max_hops)]
    filters = settings.filters
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


def added(verdict: Verdict) -> bytes:
    """The fields that a verdict puts in front."""
    return b"".join([*([JUNK_FIELD] if verdict.kind is Kind.JUNK else []), *verdict.header_lines])
