"""imaplib against the running demo: listing, figures, parts of a message."""

from __future__ import annotations

import imaplib
import smtplib

import pytest
from conftest import RunningDemo


def test_listing_status_and_parts(demo: RunningDemo) -> None:
    jane = demo.facts["accounts"][0]
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as sender:
        sender.sendmail("me@elsewhere.example", [jane["addresses"][0]], "Subject: parts\n\none\ntwo\n")
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(jane["login"], jane["password"])
        assert "NAMESPACE" in client.capabilities
        assert client.namespace() == ("OK", [b'(("" "/")) (("Other Users/" "/")) (("Shared/" "/"))'])
        assert any(line.endswith(b'"INBOX"') for line in client.list()[1])
        status, (line,) = client.status("INBOX", "(MESSAGES UNSEEN)")
        assert status == "OK"
        count = int(client.select("INBOX")[1][0])
        assert b"MESSAGES %d" % count in line
        status, parts = client.fetch(str(count), "(INTERNALDATE BODY.PEEK[TEXT]<5.3>)")
        assert status == "OK"
        assert parts[0][1] == b"two"
        assert imaplib.Internaldate2tuple(parts[0][0]) is not None
        assert client.unselect()[0] == "OK"
        assert client.status("../x", "(MESSAGES)")[0] == "NO"
        with pytest.raises(imaplib.IMAP4.error):
            client.check()
