"""`doctor address` says what live SMTP answers; `doctor login` names each cause."""

from __future__ import annotations

import json
import os
import random
import signal
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ldap3
import pytest
from click.testing import CliRunner
from conftest import RunningDemo

from directory.profile import Profile
from directory.replica import ReplicaReader
from directory.view import View
from gateway.cli import group
from gateway.cli.problems import explain
from gateway.config.load import load
from gateway.service.rehearsal import rehearse


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of its own: accounts are damaged in it."""
    running = RunningDemo(tmp_path_factory.mktemp("sick"))
    yield running
    running.stop()


@pytest.fixture
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of its own: a person moves in it."""
    running = RunningDemo(tmp_path_factory.mktemp("moved"))
    yield running
    running.stop()


def doctor(demo: RunningDemo, *words: str, given: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(group, ["doctor", *words, "--config", demo.facts["config_file"]], input=given)
    if isinstance(result.exception, Exception):
        text, code = explain(result.exception)
        return code, text
    return result.exit_code, result.output


def bound(demo: RunningDemo) -> ldap3.Connection:
    facts = demo.facts["directory"]
    return ldap3.Connection(
        ldap3.Server(facts["uri"], get_info=ldap3.NONE), facts["admin_dn"], facts["admin_password"], auto_bind=True
    )


def modify(demo: RunningDemo, login: str, **values: list[str]) -> None:
    connection = bound(demo)
    dn = f"uid={login},ou=people,{demo.facts['directory']['base']}"
    assert connection.modify(dn, {name: [(ldap3.MODIFY_REPLACE, value)] for name, value in values.items()})
    connection.unbind()
    time.sleep(0.3)


class Live:
    """What the MX says."""

    def __init__(self, demo: RunningDemo, sender: str) -> None:
        self._demo, self._sender = demo, sender
        self._client: smtplib.SMTP | None = None
        self._asked = 0

    def rcpt(self, address: str) -> str:
        if self._client is None or self._asked % 10 == 0:
            self.close()
            self._client = smtplib.SMTP("127.0.0.1", self._demo.port("mx"), timeout=20)
            self._client.ehlo()
        self._asked += 1
        self._client.docmd("RSET")
        assert self._client.command_encoding
        self._client.command_encoding = "utf-8"
        options = "" if (address + self._sender).isascii() else " SMTPUTF8"
        code, text = self._client.docmd("MAIL", f"FROM:<{self._sender}>{options}")
        assert code == 250, text
        code, text = self._client.docmd("RCPT", f"TO:<{address}>")
        return f"{code} {text.decode()}"

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


FORMS = (
    lambda a: a, str.upper, lambda a: a.replace("@", "+tag@"), lambda a: f"x{a}", lambda a: a.replace("@", "-owner@"),
    lambda a: f"{a}.example", lambda a: f"abuse@{a.rpartition('@')[2]}", lambda a: a.rpartition("@")[0],
    lambda a: f"{a}@", lambda a: a.replace("@", "@@"), lambda a: f'"{a.rpartition("@")[0]}"@{a.rpartition("@")[2]}',
    lambda a: a.replace("@", "@[127.0.0.1]"), lambda a: f"{'x' * 70}{a}", lambda a: a.replace(".", ".."),
)  # fmt: skip


@pytest.mark.timeout(120)
def test_two_hundred_addresses_are_answered_as_doctor_says(demo: RunningDemo) -> None:
    settings = load(Path(demo.facts["config_file"]))
    reader = ReplicaReader.open(Path(settings.state_dir) / "replica")
    view = View(reader, Profile.of(settings.directory), settings.defaults)
    dice = random.Random(11)
    known = [a for account in demo.facts["accounts"] for a in account["addresses"]]
    known += [a["address"] for a in demo.facts["aliases"]] + [a["address"] for a in demo.facts["lists"]]
    chosen = [dice.choice(FORMS)(dice.choice(known)) for _ in range(195)]
    chosen += ["postmaster", "", "x" * 300 + "@example.com", "closed@example.com", "suspended@example.com"]
    codes: set[int] = set()
    live = Live(demo, "me@elsewhere.example")
    for address in chosen:
        told = rehearse(settings, view, address, "me@elsewhere.example")
        assert live.rcpt(address) == told.reply, (address, told)
        codes.add(told.code)
    live.close()
    reader.close()
    assert {250, 550, 451, 501} <= codes, codes


def test_doctor_address_shows_the_way(demo: RunningDemo) -> None:
    code, text = doctor(demo, "address", "jane+shop@example.com")
    assert code == 0
    assert "jane@example.com belongs to uid=jane" in text
    assert "-> mailbox of jane@example.com" in text
    assert "250 2.1.5" in text
    code, text = doctor(demo, "address", "nobody@example.com")
    assert (code, "550 5.1.1" in text) == (1, True)
    code, text = doctor(demo, "address", "suspended@example.com")
    assert (code, "451 4.2.1" in text) == (4, True)
    code, text = doctor(demo, "address", "friend@far.example")
    assert (code, "550 5.7.1" in text) == (1, True)
    code, text = doctor(demo, "address", "friend@far.example", "--login", "jane", "--sender", "jane@example.com")
    port = demo.facts["smarthost"]["sink_port"]
    assert (code, f"-> sent on to friend@far.example, by SMTP to 127.0.0.1:{port}\n" in text) == (0, True), text
    code, text = doctor(demo, "address", "friend@far.example", "--login", "jane", "--sender", "emma@example.com")
    assert (code, "553 5.7.1" in text) == (1, True)
    code, text = doctor(demo, "address", "info@example.com", "--json", "--sender", "")
    facts: dict[str, Any] = json.loads(text)
    assert (facts["code"], facts["sender"]) == (250, "")
    assert facts["steps"]
    assert facts["targets"]


def test_a_target_that_is_not_there_is_trouble_and_no_unknown_user(moved: RunningDemo) -> None:
    """Names that lead nowhere yet: 451 while nobody else is behind the address, mail as soon as the entry is there."""
    base = moved.facts["directory"]["base"]
    mail = f"ou=mail,{base}"
    later, here, gone = (f"uid={uid},ou=people,{base}" for uid in ("oliver.later", "jane", "gone"))
    admin = bound(moved)
    for name, classes, values in (
        ("astray", "gatepostAlias", {"gatepostTarget": [gone, later]}),
        ("halfway", "gatepostAlias", {"gatepostTarget": [gone, here]}),
        ("adrift", "gatepostList", {"member": [gone, later]}),
    ):
        entry = {"cn": name, "gatepostAddress": f"{name}@example.com", **values}
        assert admin.add(f"cn={name},{mail}", ["gatepostEntry", classes], entry), admin.result
    live = Live(moved, "me@elsewhere.example")

    def settled(address: str, code: str) -> str:
        begin = time.monotonic()
        while not (answer := live.rcpt(address)).startswith(code) and time.monotonic() - begin < 10:
            time.sleep(0.5)
        return answer

    assert settled("halfway@example.com", "250").startswith("250")
    for address in ("astray@example.com", "adrift@example.com"):
        answer = settled(address, "451")
        assert answer.startswith("451 4.3.0"), answer
        code, text = doctor(moved, "address", address, "--sender", "me@elsewhere.example")
        assert (code, answer in text, f"{gone}: no such entry" in text) == (4, True, True), text
    assert admin.modify_dn(f"uid=oliver,ou=people,{base}", "uid=oliver.later"), admin.result
    for address in ("astray@example.com", "adrift@example.com"):
        assert settled(address, "250").startswith("250")
        assert doctor(moved, "address", address)[0] == 0
    live.close()
    admin.unbind()


def test_a_full_mailbox_is_seen_too(demo: RunningDemo) -> None:
    live = Live(demo, "me@elsewhere.example")
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        for _ in range(4):  # henry has 64 KiB
            try:
                client.sendmail(
                    "me@elsewhere.example", ["henry@example.com"], "Subject: big\n\n" + ("x" * 70 + "\n") * 400
                )
            except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError):
                break
    answer = live.rcpt("henry@example.com")
    live.close()
    code, text = doctor(demo, "address", "henry@example.com", "--sender", "me@elsewhere.example")
    assert answer in text
    assert code == {"2": 0, "4": 4, "5": 1}[answer[0]]


def test_doctor_login_names_the_cause(sick: RunningDemo) -> None:
    demo = sick
    code, text = doctor(demo, "login", "jane")
    assert code == 0, text
    assert "nothing stands against a login" in text
    code, text = doctor(demo, "login", "jane", "--password-stdin", given="jane-demo-password\n")
    assert (code, "the password is right, proven by the directory" in text) == (0, True)
    code, text = doctor(demo, "login", "jane", "--password-stdin", given="not this\n")
    assert (code, "wrong password" in text) == (1, True)
    code, text = doctor(demo, "login", "jane")
    assert "1 wrong passwords are remembered" in text
    assert "from a known place" in text, "the right one was typed there before"
    code, text = doctor(demo, "login", "ursula", "--password-stdin", given="not this\n")
    assert "from an unknown place" in doctor(demo, "login", "ursula")[1]
    for login, values, cause in (
        ("emma", {"gatepostStatus": ["noaccess"]}, "NO  status noaccess"),
        ("oliver", {"gatepostExpires": ["20200101000000Z"]}, "NO  expired"),
        ("harry", {"gatepostService": ["pop3"]}, "NO  imap not in gatepostService"),
        ("sophie", {"gatepostMustChangePassword": ["TRUE"]}, "NO  gatepostMustChangePassword"),
    ):
        modify(demo, login, **values)
        code, text = doctor(demo, "login", login)
        assert (code, cause in text) == (1, True), text
    modify(demo, "george", gatepostAllowNet=["192.0.2.0/24"])
    code, text = doctor(demo, "login", "george", "--address", "198.51.100.1")
    assert (code, "NO  198.51.100.1 not in gatepostAllowNet" in text) == (1, True), text
    code, text = doctor(demo, "login", "george", "--address", "192.0.2.9")
    assert code == 0, text
    code, text = doctor(demo, "login", "who")
    assert (code, "no entry has this login" in text) == (1, True)
    code, text = doctor(demo, "login", "jane", "--service", "fax")
    assert (code, "no service" in text) == (2, True)
    code, text = doctor(demo, "login", "alice", "--json")
    assert json.loads(text)["dn"].startswith("uid=alice,")
    os.kill(demo.facts["pids"]["slapd"], signal.SIGKILL)
    begin = time.monotonic()
    while "the directory does not answer" not in text and time.monotonic() - begin < 10:
        code, text = doctor(demo, "login", "alice")
    assert (code, "the directory does not answer" in text) == (4, True), text
    code, text = doctor(demo, "login", "jane", "--password-stdin", given="jane-demo-password\n")
    assert "by a verifier" in text or "proven by the directory" in text, text
