"""The example company's help desk: mail to it is read by those the directory lets, and by nobody else."""

from __future__ import annotations

import imaplib
import smtplib

from conftest import RunningDemo

DESK = '"Shared/helpdesk@example.com"'


def login(demo: RunningDemo, name: str) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20)
    account = next(each for each in demo.facts["accounts"] if each["login"] == name)
    client.login(account["login"], account["password"])
    return client


def test_a_shared_mailbox(demo: RunningDemo) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as sender:
        sender.sendmail("me@elsewhere.example", ["support@example.com"], "Subject: printer\n\nit burns\n")
    with login(demo, "sophie") as sophie, login(demo, "admin") as admin, login(demo, "jane") as jane:
        listed = sophie.list('"Shared/"', "%")[1]
        assert listed == [b'(\\HasChildren) "/" "Shared/helpdesk@example.com"']
        status, (count,) = sophie.select(DESK)
        assert (status, count) == ("OK", b"1")
        assert sophie.store("1", "+FLAGS", "\\Flagged")[0] == "OK"
        assert admin.select(DESK, readonly=True)[0] == "OK"
        assert b"\\Flagged" in admin.fetch("1", "(FLAGS)")[1][0]
        assert admin.fetch("1", "(BODY.PEEK[TEXT])")[1][0][1] == b"it burns\r\n"
        assert admin.store("1", "+FLAGS", "\\Seen")[0] == "NO"
        assert jane.select(DESK)[0] == "NO"
        assert jane.list('"Shared/"', "*")[1] == [None]
        assert sophie.copy("1", "INBOX")[0] == "OK"
