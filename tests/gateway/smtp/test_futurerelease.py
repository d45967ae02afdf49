"""FUTURERELEASE in the session: announced, taken, refused."""

from __future__ import annotations

import base64

import pytest
from test_session import Talk

from gateway.smtp.extensions.futurerelease import not_before
from gateway.smtp.settings import Role

HELLO = b"EHLO c\r\nAUTH PLAIN " + base64.b64encode(b"\0u\0right") + b"\r\n"


def talk(role: Role = Role.SUBMISSION, **settings: object) -> Talk:
    made = Talk(role, **settings)
    made.session.began = 1_800_000_000.0
    return made


def test_it_is_announced_to_people_who_send_only() -> None:
    assert "250-FUTURERELEASE 3600 2027-01-15T09:00:00Z" in talk(max_hold=3600).say(HELLO)
    for other in (talk(Role.MX), talk(Role.LMTP), talk(max_hold=0)):
        said = other.say(b"LHLO c\r\n" if other.session.role is Role.LMTP else b"EHLO c\r\n")
        assert not any("FUTURERELEASE" in line for line in said)
    mx = talk(Role.MX)
    mx.say(b"EHLO c\r\n")
    assert mx.say(b"MAIL FROM:<a@x.example> HOLDFOR=60\r\n")[0].startswith("555 5.5.4")


@pytest.mark.parametrize(
    ("parameter", "code"),
    [
        ("HOLDFOR=1", "250"),
        ("HOLDFOR=3600", "250"),
        ("HOLDFOR=3601", "501"),
        ("HOLDFOR=0", "501"),
        ("HOLDFOR=-5", "501"),
        ("HOLDFOR=1234567890", "501"),
        ("HOLDFOR", "501"),
        ("HOLDUNTIL=2027-01-15T08:30:00Z", "250"),
        ("HOLDUNTIL=2027-01-15T09:30:00+01:00", "250"),
        ("HOLDUNTIL=2027-01-15T09:00:01Z", "501"),
        ("HOLDUNTIL=2020-01-01T00:00:00Z", "250"),  # passed already: it goes at once
        ("HOLDUNTIL=2027-01-15T08:30:00", "501"),
        ("HOLDUNTIL=2027-01-15", "501"),
        ("HOLDUNTIL=tomorrow", "501"),
        ("HOLDFOR=5 HOLDUNTIL=2027-01-15T08:30:00Z", "501"),
    ],
)
def test_values_and_their_bounds(parameter: str, code: str) -> None:
    one = talk(max_hold=3600)
    one.say(HELLO)
    assert one.say(f"MAIL FROM:<a@x.example> {parameter}\r\n".encode())[0].startswith(code)
    assert one.say(b"NOOP\r\n") == ["250 2.0.0 OK"], "the session goes on"


def test_the_moment() -> None:
    assert not_before({}, 1000.0) == 0
    assert not_before({"HOLDFOR": "60"}, 1000.0) == 1060
    assert not_before({"HOLDUNTIL": "1970-01-01T01:00:00+01:00"}, 1000.0) == 0
    assert not_before({"HOLDUNTIL": "2027-01-15T08:00:00Z"}, 1000.0) == 1_800_000_000
