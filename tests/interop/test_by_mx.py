"""The whole service without a smarthost: mail leaves by MX records, and to the next hops that the directory names."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ldap3
import pytest
import yaml
from conftest import RunningDemo
from in_process import answer
from scripted_dns import ScriptedDns, scripted_dns
from scripted_smtp import ScriptedSmtp, scripted_smtp


class Outside:
    """A demo whose outside world is a scripted name server and mail host."""

    def __init__(self, demo: RunningDemo, dns: ScriptedDns, host: ScriptedSmtp) -> None:
        self.demo, self.dns, self.host = demo, dns, host

    def submit(self, recipient: str, subject: str, who: str = "jane") -> None:
        with smtplib.SMTP("127.0.0.1", self.demo.port("submission"), timeout=20) as client:
            client.login(who, f"{who}-demo-password")
            client.sendmail(f"{who}@example.com", [recipient], f"From: {who}@example.com\nSubject: {subject}\n\nx\n")

    def change(self, work: Callable[[ldap3.Connection, str], None]) -> None:
        facts = self.demo.facts["directory"]
        server = ldap3.Server(facts["uri"], get_info=ldap3.NONE)
        connection = ldap3.Connection(server, facts["admin_dn"], facts["admin_password"], auto_bind=True)
        try:
            work(connection, facts["base"])
            assert connection.result["result"] == 0, connection.result
        finally:
            connection.unbind()


def eventually(found: Callable[[], Any], seconds: float = 20) -> Any:
    begin = time.monotonic()
    while not (value := found()):
        assert time.monotonic() - begin < seconds
        time.sleep(0.02)
    return value


def came(host: ScriptedSmtp, subject: str) -> list[tuple[str, list[str], bytes]]:
    return [each for each in list(host.messages) if f"Subject: {subject}".encode() in each[2]]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    demo = RunningDemo(tmp_path_factory.mktemp("bymx"))
    path = Path(demo.facts["config_file"])
    with scripted_dns() as dns, scripted_smtp() as host:
        dns.zone = {
            "far.example MX": ["10 one.far.example."],
            "one.far.example A": ["127.0.0.1"],
            "null.example MX": ["0 ."],
            "away.example MX": ["10 one.far.example."],
        }
        settings = yaml.safe_load(path.read_text())
        settings["relay"] = {"mx_port": host.port, "allow_private": True, "idle_time": "1s"}
        settings["dns"] = {"servers": [dns.server], "timeout": "1s", "lifetime": "2s"}
        settings["queue"] = {"retry_first": "1s", "retry_max": "1s"}
        path.write_text(yaml.safe_dump(settings))
        done = answer("reload", "--config", str(path))
        assert done.returncode == 0, done.stderr
        yield Outside(demo, dns, host)
        demo.stop()


def test_by_mx(outside: Outside) -> None:
    outside.submit("x@Far.Example", "direct")
    begin = time.monotonic()
    ((mail, rcpts, _),) = eventually(lambda: came(outside.host, "direct"))
    print(f"outside after {(time.monotonic() - begin) * 1000:.0f} ms")
    assert mail.startswith("MAIL FROM:<jane@example.com> SIZE=") and rcpts == ["RCPT TO:<x@far.example>"]
    assert "EHLO localhost" in outside.host.lines


def test_a_name_server_in_trouble_keeps_mail_waiting(outside: Outside) -> None:
    outside.dns.dead.add("away.example")
    outside.submit("x@away.example", "patient")
    eventually(lambda: outside.dns.questions.count("away.example MX") >= 2)
    time.sleep(1.5)
    assert came(outside.host, "patient") == []
    outside.dns.dead.clear()
    eventually(lambda: came(outside.host, "patient"))


def test_a_relay_domain_goes_where_the_directory_says_and_mending_it_frees_what_waits(outside: Outside) -> None:
    with scripted_smtp() as dead:
        pass

    def add(connection: ldap3.Connection, base: str) -> None:
        connection.add(
            f"cn=branch.example,ou=mail,{base}",
            ["gatepostEntry", "gatepostDomain"],
            {
                "gatepostDomainName": "branch.example",
                "gatepostDomainKind": "relay",
                "gatepostNextHop": f"127.0.0.1:{dead.port}",
            },
        )

    outside.change(add)
    eventually(lambda: accepted(outside, "y@branch.example", "branch"))
    time.sleep(1.2)
    assert came(outside.host, "branch") == []
    with scripted_smtp(lmtp=True) as inside:

        def mend(connection: ldap3.Connection, base: str) -> None:
            change = {"gatepostNextHop": [(ldap3.MODIFY_REPLACE, [f"lmtp:127.0.0.1:{inside.port}"])]}
            connection.modify(f"cn=branch.example,ou=mail,{base}", change)

        outside.change(mend)
        ((_, rcpts, _), *_) = eventually(lambda: came(inside, "branch"))
        assert rcpts == ["RCPT TO:<y@branch.example>"] and inside.verbs()[0] == "LHLO"


def accepted(outside: Outside, recipient: str, subject: str) -> bool:
    """Try once as a stranger; the domain may not be known yet."""
    try:
        with smtplib.SMTP("127.0.0.1", outside.demo.port("mx"), timeout=20) as client:
            client.sendmail("me@elsewhere.example", [recipient], f"Subject: {subject}\n\nx\n")
    except smtplib.SMTPRecipientsRefused:
        return False
    return True


def test_a_smarthost_of_the_sender(outside: Outside) -> None:
    with scripted_smtp() as own:

        def change(connection: ldap3.Connection, base: str) -> None:
            connection.search(base, "(uid=oliver)", attributes=[])
            values = {"gatepostRelayHost": [(ldap3.MODIFY_REPLACE, [f"127.0.0.1:{own.port}"])]}
            connection.modify(connection.response[0]["dn"], values)

        outside.change(change)
        number = 0

        def arrived() -> bool:  # the change takes a moment
            nonlocal number
            number += 1
            outside.submit("x@far.example", f"own {number}", "oliver")
            eventually(lambda: came(own, f"own {number}") or came(outside.host, f"own {number}"))
            return bool(came(own, f"own {number}"))

        eventually(arrived)


def test_a_connection_cut_behind_the_end_makes_one_duplicate_and_says_so(outside: Outside) -> None:
    with scripted_smtp(replies={"CONTENT": "DROP"}) as rough:

        def add(connection: ldap3.Connection, base: str) -> None:
            connection.add(
                f"cn=rough.example,ou=mail,{base}",
                ["gatepostEntry", "gatepostDomain"],
                {
                    "gatepostDomainName": "rough.example",
                    "gatepostDomainKind": "relay",
                    "gatepostNextHop": f"127.0.0.1:{rough.port}",
                },
            )

        outside.change(add)
        eventually(lambda: accepted(outside, "z@rough.example", "twice"))
        eventually(lambda: came(rough, "twice"))
        rough.replies.clear()
        eventually(lambda: len(came(rough, "twice")) == 2)
        time.sleep(1.5)
        assert len(came(rough, "twice")) == 2
    log = (outside.demo.folder / "demo.log").read_text()
    said = [line for line in log.splitlines() if "event=unanswered host=127.0.0.1" in line]
    assert len(said) == 1
