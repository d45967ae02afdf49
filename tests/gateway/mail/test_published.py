"""DNS records that a domain wants, and what is made of what is found."""

from __future__ import annotations

import pytest

from gateway.mail.published import Wanted, basic, dkim, judge, tlsa

MX, SPF, DMARC = basic("example.com", "mail.example.com")
KEY = dkim("example.com", "s1", "v=DKIM1; k=rsa; p=MIIB")
SRV = Wanted("programs", "_imaps._tcp.example.com", "SRV", "0 1 993 mail.example.com.")
TLSA = tlsa("mail.example.com", "ab" * 32)
HOST = Wanted("setup", "autoconfig.example.com", "HOST", "CNAME mail.example.com.")


@pytest.mark.parametrize(
    ("wanted", "found", "state"),
    [
        (MX, [], "missing"),
        (MX, ["10 mail.example.com."], "right"),
        (MX, ["5 other.example.net.", "50 MAIL.example.com."], "right"),
        (MX, ["10 other.example.net."], "other"),
        (SPF, ["google-site-verification=x"], "missing"),
        (SPF, ["v=spf1 include:_spf.example.net ~all", "something"], "right"),
        (SPF, ["v=spf1 mx -all", "v=spf1 a -all"], "other"),
        (SPF, ["v=spf10 mx -all"], "missing"),
        (DMARC, ["v=DMARC1;p=reject"], "right"),
        (KEY, ["v=DKIM1; k=rsa; p=MI IB"], "right"),
        (KEY, ["v=DKIM1; k=rsa; p=OTHER"], "other"),
        (KEY, ["v=DKIM1; k=rsa; p=MIIB", "v=DKIM1; p=OTHER"], "other"),
        (KEY, ["unrelated"], "missing"),
        (SRV, ["10 5 993 mail.example.com."], "right"),
        (SRV, ["0 1 143 mail.example.com."], "other"),
        (TLSA, ["3 1 1 " + "AB" * 32], "right"),
        (TLSA, ["3 1 1 " + "cd" * 32], "other"),
        (TLSA, ["2 1 1 " + "ab" * 32], "other"),
        (HOST, ["192.0.2.1"], "right"),
        (HOST, [], "missing"),
    ],
)
def test_judged(wanted: Wanted, found: list[str], state: str) -> None:
    assert judge(wanted, found).state == state


def test_what_is_shown_of_a_record_is_bounded() -> None:
    assert len(judge(SPF, ["v=spf1 " + "x" * 70_000]).found[0]) == 1000
