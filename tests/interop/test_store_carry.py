"""gatepost store export and import beside the running service."""

from __future__ import annotations

import imaplib
import json
import smtplib
from pathlib import Path

from conftest import RunningDemo, eventually
from in_process import run


def test_a_store_goes_into_a_file_and_comes_back(demo: RunningDemo, tmp_path: Path) -> None:
    account = next(each for each in demo.facts["accounts"] if each["login"] == "emma")
    file = tmp_path / "emma.tar.gz"
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(account["login"], account["password"])
        client.append("INBOX", "", None, b"Subject: stays\r\n\r\nx\r\n")
        client.create("Carried")
        for number in range(3):
            client.append("Carried", "(\\Flagged urgent)" if number else "", None, b"Subject: %d\r\n\r\nx\r\n" % number)
        validity = client.status("Carried", "(UIDVALIDITY)")[1]
        client.select("Carried")
        client.uid("STORE", "2", "+FLAGS", "\\Deleted")
        client.expunge()
        before = client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE)")[1]
        assert len(before) == 2
    code, said = run(demo, "store", "export", "emma", str(file), "--json")
    told = json.loads(said)
    assert (code, told["account"], told["messages"] >= 3) == (0, account["id"], True)
    assert file.stat().st_mode & 0o777 == 0o600
    assert run(demo, "store", "export", "emma", str(file))[0] == 1  # not overwritten unless told
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(account["login"], account["password"])
        client.delete("Carried")
    assert run(demo, "store", "import", "emma", str(file))[0] == 1  # there is mail
    code, said = run(demo, "store", "import", "emma", str(file), "--replace", "--json")
    done = json.loads(said)
    assert (code, done["messages"], done["findings"]) == (0, told["messages"], [])
    assert Path(done["replaced"]).is_dir()
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=20) as client:
        client.login(account["login"], account["password"])
        assert client.status("Carried", "(UIDVALIDITY)")[1] == validity
        client.select("Carried")
        assert sorted(client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE)")[1]) == sorted(before)
        with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as sender:
            sender.sendmail("me@elsewhere.example", ["emma@example.com"], "Subject: carried on\n\nhello\n")

        def is_there() -> bool:
            client.select("INBOX")
            return client.search(None, "SUBJECT", "carried")[1] != [b""]

        eventually(is_there)
    (tmp_path / "text").write_text("no export\n")
    assert run(demo, "store", "import", "emma", str(tmp_path / "text"), "--replace")[0] == 1
    assert run(demo, "store", "export", "nobody@example.com", str(tmp_path / "nobody"))[0] == 1
    assert not (tmp_path / "nobody").exists()
