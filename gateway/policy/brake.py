"""Does an account behave as one whose password was stolen? Facts in, verdict out.

    sign        what is counted                                    compared with
    recipients  different recipients outside, today                `brake.recipients`, and `factor` times its busiest day
    limit       times that its sending limit was met, today        `brake.limit_hits`, and the same
    networks    different networks it sent from, today             `brake.networks`, and the same
    failures    recipients refused or bounced, in seven days       `brake.failures`, and `failed_share` of all recipients

A newsletter of an account that always sends one is its busiest day, and so no sign. Only recipients outside count:
who writes to the whole company does what thieves do not.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from gateway.policy.settings import BrakeSettings

WEEK_DAYS = 7

Kind: TypeAlias = Literal["recipients", "limit", "networks", "failures", "operator"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Of a day; in `Facts.usual` the highest of each on earlier days."""

    outside: int = 0
    limited: int = 0
    networks: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What an account did. `week_recipients` and `week_failed` are sums of the last seven days, `learned` is how many
    seconds ago counting began on this host."""

    today: Counts
    usual: Counts
    week_recipients: int
    week_failed: int
    learned: float


@dataclass(frozen=True, slots=True)
class Sign:
    """Why an account is stopped; `text` tells an operator what was seen, and beside it what is usual and allowed."""

    kind: Kind
    text: str


def sign(facts: Facts, settings: BrakeSettings) -> Sign | None:
    """The first sign there is, None for none."""
    if settings.failures and facts.week_failed >= settings.failures:
        share = facts.week_failed / max(facts.week_recipients, 1)
        if share > settings.failed_share:
            return Sign(
                "failures",
                f"{facts.week_failed} of {facts.week_recipients} recipients in {WEEK_DAYS} days were refused or bounced"
                f" (brake.failures: {settings.failures}, brake.failed_share: {settings.failed_share:g})",
            )
    if facts.learned < settings.learning:
        return None
    today, usual = facts.today, facts.usual
    compared: tuple[tuple[Kind, int, int, int, str, str], ...] = (
        ("recipients", today.outside, usual.outside, settings.recipients, "different recipients outside", "recipients"),
        ("limit", today.limited, usual.limited, settings.limit_hits, "times over its sending limit", "limit_hits"),
        ("networks", today.networks, usual.networks, settings.networks, "different networks sent from", "networks"),
    )
    for kind, number, before, allowed, words, key in compared:
        if allowed and number > max(allowed, settings.factor * before):
            return Sign(kind, f"{number} {words} today; at most {before} on a day before (brake.{key}: {allowed})")
    return None


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """What a client's address counts as: providers give their customers addresses of one such network. "" = none."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, 16 if found.version == 4 else 32), strict=False))
