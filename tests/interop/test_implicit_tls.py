"""The ports that are TLS from the first octet, with the certificate verified."""

from __future__ import annotations

import imaplib
import smtplib
import ssl

from conftest import RunningDemo


def test_imaps_and_submissions(demo: RunningDemo) -> None:
    context = ssl.create_default_context(cafile=demo.facts["ca_file"])
    jane = demo.facts["accounts"][0]
    with imaplib.IMAP4_SSL("localhost", demo.port("imaps"), ssl_context=context, timeout=20) as client:
        assert client.login(jane["login"], jane["password"])[0] == "OK"
        assert client.select("INBOX")[0] == "OK"
    with smtplib.SMTP_SSL("localhost", demo.port("submissions"), context=context, timeout=20) as sender:
        assert sender.ehlo()[0] == 250
