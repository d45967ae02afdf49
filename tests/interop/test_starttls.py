"""Submission under STARTTLS and implicit TLS: log in, send as oneself, be refused as somebody else."""

from __future__ import annotations

import smtplib
import ssl

import pytest
from conftest import RunningDemo


@pytest.mark.parametrize("service", ["submission", "submissions"])
def test_submit(demo: RunningDemo, service: str) -> None:
    context = ssl.create_default_context(cafile=demo.facts["ca_file"])
    if service == "submissions":
        client: smtplib.SMTP = smtplib.SMTP_SSL("localhost", demo.port(service), timeout=20, context=context)
    else:
        client = smtplib.SMTP("localhost", demo.port(service), timeout=20)
        assert client.starttls(context=context)[0] == 220
    jane = next(a for a in demo.facts["accounts"] if a["login"] == "jane")
    with client:
        client.login("jane", jane["password"])
        client.sendmail("jane@example.com", ["wangwei@example.com"], "From: Jane <jane@example.com>\n\nhi\n")
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("jane@example.com", ["wangwei@example.com"], "From: wangwei@example.com\n\nhi\n")
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("wangwei@example.com", ["jane@example.com"], "From: jane@example.com\n\nhi\n")
