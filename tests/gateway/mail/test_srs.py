"""Rewritten return paths: there and back, age, foreign ones, what nobody else can make."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail.srs import DAY, Srs

NOW = 20_000 * DAY
OLD, NEW = b"old" * 11, b"new" * 11


def srs(*keys: bytes, domain: str = "ours.example", days: int = 21) -> Srs:
    return Srs(domain, lambda now: keys or (NEW,), days)


def back(made: str, now: float = NOW, by: Srs | None = None) -> str | None:
    return (by or srs()).reverse(made.rpartition("@")[0], now)


@pytest.mark.parametrize("path", ["Bob@far.example", '"a b=c"@far.example', "a=b+c@x.example", "ü@far.example"])
def test_there_and_back(path: str) -> None:
    made = srs().forward(path, NOW)
    assert made.endswith("@ours.example")
    assert made.strip('"').startswith("SRS0=")
    assert back(made) == path


@given(st.from_regex(r"[a-z0-9!#$%&'*/?^_`{|}~+=-]{1,30}", fullmatch=True))
def test_any_local_part_comes_back(local: str) -> None:
    made = srs().forward(f"{local}@far.example", NOW)
    assert made == f"{local}@far.example" or back(made) is not None
    if made.startswith("SRS0="):
        assert back(made) == f"{local}@far.example"


def test_some_hosts_change_the_case() -> None:
    made = srs().forward("bob@far.example", NOW)
    assert back(made.lower()) == "bob@far.example"
    assert (back(made.upper()) or "").lower() == "bob@far.example"


def test_nobody_else_makes_one_and_none_lasts_for_ever() -> None:
    made = srs().forward("bob@far.example", NOW)
    assert back(made.replace("=bob@", "=all@")) is None
    assert back(made.replace("far.example", "evil.example")) is None
    assert back(srs(OLD).forward("bob@far.example", NOW)) is None
    assert back(made, NOW + 21 * DAY) is not None
    assert back(made, NOW + 22 * DAY) is None
    assert back(made, NOW - DAY) is not None  # a clock behind
    for text in ("SRS0", "SRS0=", "SRS0=aaaaaa=aa=x", "SRS0=aaaaaa=aa=x=", "SRS0=aaaa=aa=x=y", "srs1=a=b=c", "bob"):
        assert srs().reverse(text, NOW) is None


def test_keys_are_renewed() -> None:
    made = srs(OLD).forward("bob@far.example", NOW)
    assert back(made, by=srs(NEW, OLD)) == "bob@far.example"
    assert srs(NEW, OLD).forward("bob@far.example", NOW) == srs(NEW).forward("bob@far.example", NOW)
    nothing_signed = Srs("ours.example", lambda now: (), 21)
    assert nothing_signed.reverse(made.rpartition("@")[0], NOW) is None


def test_what_others_rewrote_goes_back_to_them() -> None:
    first = srs(domain="first.example").forward("bob@far.example", NOW)
    second = srs(OLD, domain="second.example").forward(first, NOW)
    assert second.startswith("SRS1=")
    assert "=first.example==" in second
    third = srs().forward(second, NOW)
    assert third.startswith("SRS1=")
    assert "second" not in third.partition("@")[0]
    assert back(third) == first
    assert back(third.replace("first.example", "evil.example")) is None


def test_what_stays_as_it_is() -> None:
    long = f"{'x' * 60}@far.example"
    for path in ("", "a@ours.example", long, "a@[192.0.2.1]"):
        assert srs().forward(path, NOW) == path
    assert srs(domain="").forward("bob@far.example", NOW) == "bob@far.example"
