"""gatepost store check, repair and rebuild beside the running service and an open IMAP session."""

from __future__ import annotations

import imaplib
import json
import smtplib
from pathlib import Path

from conftest import RunningDemo, eventually
from in_process import run


def test_check_repair_and_rebuild(demo: RunningDemo) -> None:
    account = next(each for each in demo.facts["accounts"] if each["login"] == "emma")
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(account["login"], account["password"])
        assert client.create("Care")[0] == "OK"
        for number in range(3):
            client.append("Care", "(\\Flagged)" if number else "", None, b"Subject: %d\r\n\r\nx\r\n" % number)
        validity = client.status("Care", "(UIDVALIDITY)")[1]
        client.select("Care")
        assert run(demo, "store", "check", "emma")[0] == 0
        (Path(account["maildir"]) / ".Care" / "cur" / "17.strange.host:2,S").write_bytes(b"Subject: strange\n\nx\n")
        code, said = run(demo, "store", "check", "emma@example.com", "--json")
        assert code == 1
        (result,) = json.loads(said)
        assert [(each["mailbox"], each["kind"]) for each in result["findings"]] == [("Care", "orphan")]
        code, said = run(demo, "store", "repair", "emma")
        assert (code, said) == (0, "1 checked, 0 not in order\n")
        eventually(lambda: client.noop()[0] == "OK" and b"4" in client.response("EXISTS")[1])
        before = set(client.uid("FETCH", "1:*", "(FLAGS)")[1])
        assert len(before) == 4

        assert run(demo, "store", "rebuild", "emma") == (0, "1 checked, 0 not in order\n")
        assert set(client.uid("FETCH", "1:*", "(FLAGS)")[1]) == before  # with MODSEQs that are new all are told again
        assert client.noop()[0] == "OK"
        assert client.uid("STORE", "1", "+FLAGS", "\\Answered")[0] == "OK"
        with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as sender:
            sender.sendmail("me@elsewhere.example", ["emma@example.com"], "Subject: after\n\nrebuilt\n")
        assert client.status("Care", "(UIDVALIDITY)")[1] == validity
        client.select("Care")
        assert client.uid("FETCH", "2:4", "(FLAGS)")[1][0] in before
        client.select("INBOX")
        assert client.search(None, "SUBJECT", "after")[1] != [b""]

        code, said = run(demo, "store", "search", "emma", "--build", "--json")
        assert code == 0
        (facts,) = json.loads(said)
        assert facts["indexed"] == facts["messages"] > 4
        assert facts["octets"] > 0
        assert client.search(None, "BODY", "rebuilt")[1] != [b""]
        code, said = run(demo, "store", "search", "emma", "--drop")
        assert code == 0
        assert said.endswith(": no search file\n")

    assert run(demo, "store", "check", "nobody@example.com")[0] == 1
    assert run(demo, "store", "check")[0] == 2
    assert run(demo, "store", "check", "--all")[0] == 0
    maildir = Path(account["maildir"])
    maildir.rename(maildir.with_name("away"))
    try:
        code, said = run(demo, "store", "check", "--all")
        assert (code, "0 not in order" in said) == (1, True)
        assert run(demo, "store", "check", "emma")[0] == 4
    finally:
        maildir.with_name("away").rename(maildir)
