"""Mail that leaves: a forward to outside goes through the queue to the smarthost; `explain` says what RCPT says."""

from __future__ import annotations

import random
import smtplib
import time
from pathlib import Path

import ldap3
import pytest
from conftest import RunningDemo

from directory.model import Deferred, Refused
from directory.profile import Profile
from directory.replica import ReplicaReader
from directory.view import View
from gateway.config.load import load
from gateway.policy.restriction import Sender, refusal
from gateway.route.router import Router


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


@pytest.mark.timeout(60)
def test_two_hundred_addresses_explained_as_answered(demo: RunningDemo) -> None:
    settings = load(Path(demo.facts["config_file"]))
    directory = View(
        ReplicaReader.open(Path(settings.state_dir) / "replica"),
        Profile.load(settings.directory.profile),
        settings.defaults,
    )
    router = Router(directory, settings.route, host_names=(settings.hostname,), can_relay=True)
    dice = random.Random(2)
    known = [a for account in demo.facts["accounts"] for a in account["addresses"]]
    known += [a["address"] for a in demo.facts["aliases"]] + [a["address"] for a in demo.facts["lists"]]
    known = [address for address in known if address.isascii()]
    forms = (
        lambda a: a, str.upper, lambda a: a.replace("@", "+tag@"), lambda a: f"x{a}",
        lambda a: a.replace("@", "-owner@"), lambda a: f"{a}.example", lambda a: f"abuse@{a.rpartition('@')[2]}",
    )  # fmt: skip
    chosen = [dice.choice(forms)(dice.choice(known)) for _ in range(199)] + ["postmaster"]
    codes = set()
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        for number, address in enumerate(chosen):
            if number % 15 == 0:
                client.close()
                client.connect("127.0.0.1", demo.port("mx"))
                client.ehlo()
                client.mail("me@elsewhere.example")
            code, text = client.rcpt(address)
            lines, answer = router.explain(address, time.time())
            if not isinstance(answer, Deferred | Refused) and answer.entry is not None:
                # `explain` knows no sender; who may send there is a question of its own
                answer = refusal(directory, answer.entry, Sender("me@elsewhere.example", None)) or answer
            expected = answer.condition.code if isinstance(answer, Deferred | Refused) else 250
            assert code == expected, (address, text, lines)
            codes.add(code)
    assert {250, 550} <= codes
