"""What is a sign of a stolen password and what is not, as a table."""

from __future__ import annotations

import msgspec
import pytest

from gateway.policy.brake import Counts, Facts, network_of, sign
from gateway.policy.settings import BrakeSettings

DEFAULTS = BrakeSettings()
LONG = 30 * 86400.0


NOTHING = Counts()


def facts(today: Counts, usual: Counts = NOTHING, week: tuple[int, int] = (0, 0), learned: float = LONG) -> Facts:
    return Facts(today, usual, *week, learned)


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (facts(Counts(outside=1000)), None),
        (facts(Counts(outside=1001)), "recipients"),
        (facts(Counts(outside=1001), learned=6 * 86400), None),
        (facts(Counts(outside=50_000), Counts(outside=5_000)), None),  # a newsletter, ten times as large as ever
        (facts(Counts(outside=50_001), Counts(outside=5_000)), "recipients"),
        (facts(Counts(outside=1001), Counts(outside=60)), "recipients"),
        (facts(Counts(limited=100)), None),
        (facts(Counts(limited=101)), "limit"),
        (facts(Counts(limited=900), Counts(limited=90)), None),  # a script that meets its limit every day
        (facts(Counts(networks=20)), None),
        (facts(Counts(networks=21)), "networks"),
        (facts(Counts(networks=21), Counts(networks=3)), None),
        (facts(Counts(), week=(199, 99)), None),
        (facts(Counts(), week=(200, 100)), None),
        (facts(Counts(), week=(199, 100)), "failures"),
        (facts(Counts(), week=(0, 100), learned=0), "failures"),  # what was sent before the file was lost
        (facts(Counts(), week=(10_000, 3_000)), None),  # an old list of addresses
    ],
)
def test_signs(seen: Facts, kind: str | None) -> None:
    found = sign(seen, DEFAULTS)
    assert (found and found.kind) == kind


def test_every_sign_can_be_switched_off_and_says_what_was_seen() -> None:
    everything = facts(Counts(5000, 5000, 5000), Counts(3, 2, 1), (5000, 5000))
    texts, settings = {}, DEFAULTS
    for key in ("failures", "recipients", "limit_hits", "networks"):
        found = sign(everything, settings)
        assert found is not None
        texts[found.kind] = found.text
        settings = msgspec.structs.replace(settings, **{key: 0})
    assert sign(everything, settings) is None
    assert texts["recipients"] == (
        "5000 different recipients outside today; at most 3 on a day before (brake.recipients: 1000)"
    )
    assert texts["failures"].startswith(
        "5000 of 5000 recipients in 7 days were refused or bounced (brake.failures: 100"
    )
    assert "at most 2 on a day before (brake.limit_hits: 100)" in texts["limit"]
    assert "at most 1 on a day before (brake.networks: 20)" in texts["networks"]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.9", "192.0.0.0/16"),
        ("::ffff:192.0.2.9", "192.0.0.0/16"),
        ("2001:db8:1:2::3", "2001:db8::/32"),
        ("local", ""),
    ],
)
def test_networks(address: str, network: str) -> None:
    assert network_of(address) == network
