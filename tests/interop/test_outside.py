"""Mail that leaves: a forward to outside goes through the queue to the smarthost."""

from __future__ import annotations

import smtplib
import time
from pathlib import Path

import ldap3
from conftest import RunningDemo


def wait_for(demo: RunningDemo, text: bytes) -> bytes:
    folder = Path(demo.facts["smarthost"]["sink_dir"])
    begin = time.monotonic()
    while time.monotonic() - begin < 20:
        for path in folder.glob("*.eml"):
            content = path.read_bytes()
            if text in content:
                print(f"outside after {(time.monotonic() - begin) * 1000:.0f} ms")
                return content
        time.sleep(0.02)
    raise AssertionError(f"{text!r} never came to {folder}")


def test_an_alias_to_outside_lands_in_the_sink(demo: RunningDemo) -> None:
    facts = demo.facts["directory"]
    server = ldap3.Server(facts["uri"], get_info=ldap3.NONE)
    connection = ldap3.Connection(server, facts["admin_dn"], facts["admin_password"], auto_bind=True)
    connection.add(
        f"cn=toout,ou=mail,{facts['base']}",
        ["gatepostEntry", "gatepostAlias"],
        {"gatepostAddress": "toout@example.com", "gatepostForward": ["out@far.example", "jane@example.com"]},
    )
    assert connection.result["result"] == 0
    connection.unbind()  # leaving a `with` block would not: the connection was bound before it
    begin = time.monotonic()
    while True:
        try:
            with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
                client.sendmail("me@elsewhere.example", ["toout@example.com"], "Subject: leave\n\n.out we go\n")
            break
        except smtplib.SMTPRecipientsRefused:
            assert time.monotonic() - begin < 10
            time.sleep(0.02)
    content = wait_for(demo, b"Subject: leave")
    assert content.startswith(b"X-Envelope-From: <me@elsewhere.example>\r\nX-Envelope-To: <out@far.example>\r\n")
    assert content.endswith(b"\r\n\r\n.out we go\r\n")
