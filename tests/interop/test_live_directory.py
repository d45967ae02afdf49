"""A directory that changes under a running service: live in every worker within a second, no search per message."""

from __future__ import annotations

import contextlib
import imaplib
import os
import re
import signal
import smtplib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ldap3
import pytest
import yaml
from conftest import GATEPOST, RunningDemo, free_offset
from in_process import answer

SENDER = "me@elsewhere.example"


def eventually(what: Callable[[], bool], seconds: float = 10.0) -> float:
    begin, pause = time.monotonic(), 0.01
    while not what():
        assert time.monotonic() - begin < seconds
        time.sleep(pause)
        pause = min(2 * pause, 1.0)  # a session ends when too many recipients were refused in it
    return time.monotonic() - begin


class Company(RunningDemo):
    """A demo whose slapd writes down what it is asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.slapd_log = folder / "stats.log"
        os.kill(self.facts["pids"]["slapd"], signal.SIGTERM)
        ldap = folder / "ldap"
        eventually(lambda: not (ldap / "run" / "slapd.pid").exists())
        self.base = str(self.facts["directory"]["base"])
        self.ldapi = f"ldapi://{str(ldap / 'run' / 'ldapi').replace('/', '%2F')}"
        command = [
            "/usr/sbin/slapd",
            "-F",
            str(ldap / "slapd.d"),
            "-h",
            f"{self.facts['directory']['uri']}/ {self.ldapi}",
        ]
        with self.slapd_log.open("wb") as log:
            self.slapd = subprocess.Popen([*command, "-d", "stats"], stderr=log)
        eventually(lambda: self.status()[0] == 0, 30)

    def status(self) -> tuple[int, str]:
        done = answer("status", "--config", self.facts["config_file"])
        return done.returncode, done.stdout

    def searches(self) -> list[str]:
        """Every search so far but the proof of freshness, which comes every few seconds whatever happens."""
        text = self.slapd_log.read_text(errors="replace")
        lines = re.findall(r"^.* conn=(\d+) op=(\d+) SRCH (.*)$", text, re.MULTILINE)
        attributes = {(conn, op): rest for conn, op, rest in lines if rest.startswith("attr=")}
        return [
            rest
            for conn, op, rest in lines
            if rest.startswith("base=") and attributes.get((conn, op), "") != "attr=contextCSN"
        ]

    def binds(self, login: str) -> int:
        """How often slapd was asked for this person's password."""
        text = self.slapd_log.read_text(errors="replace")
        return len(re.findall(rf'BIND dn="uid={login},ou=people,{self.base}" method=128', text))

    def connections(self, number: int = 24) -> dict[int, smtplib.SMTP]:
        """An open SMTP connection to each worker, by its pid."""
        workers = [pid for name, pid in self.facts["pids"].items() if name.startswith("worker-")]
        found: dict[int, smtplib.SMTP] = {}
        for _ in range(number):
            client = smtplib.SMTP("127.0.0.1", self.port("mx"), timeout=20)
            assert client.sock is not None
            pid = self._owner(client.sock.getsockname()[1], workers)
            if pid in found:
                client.close()
                continue
            client.ehlo()
            client.mail(SENDER)
            found[pid] = client
            if len(found) == len(workers):
                return found
        raise AssertionError(f"{number} connections reached only {len(found)} of {len(workers)} workers")

    def _owner(self, client_port: int, workers: list[int]) -> int:
        """The worker that serves the connection from that port."""
        ends = (f":{self.port('mx'):04X}", f":{client_port:04X}")
        begin = time.monotonic()
        while time.monotonic() - begin < 10:
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
                words = line.split()
                if words[1].endswith(ends[0]) and words[2].endswith(ends[1]) and words[9] != "0":
                    for pid in workers:
                        for link in Path(f"/proc/{pid}/fd").iterdir():
                            with contextlib.suppress(OSError):
                                if os.readlink(link) == f"socket:[{words[9]}]":
                                    return pid
            time.sleep(0.01)
        raise AssertionError(f"no worker serves port {client_port}")

    def stop(self) -> None:
        super().stop()
        self.slapd.terminate()
        self.slapd.wait(20)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Company]:
    made = Company(tmp_path_factory.mktemp("live"))
    yield made
    made.stop()


def login(company: RunningDemo, name: str, password: str) -> str:
    with imaplib.IMAP4("127.0.0.1", company.port("imap"), timeout=20) as client:
        try:
            return str(client.login(name, password)[0])
        except imaplib.IMAP4.error as error:
            return str(error)


def inbox(company: RunningDemo, name: str, password: str) -> int:
    with imaplib.IMAP4("127.0.0.1", company.port("imap"), timeout=20) as client:
        client.login(name, password)
        return int(client.select("INBOX", readonly=True)[1][0] or 0)


def send(company: RunningDemo, recipient: str) -> None:
    with smtplib.SMTP("127.0.0.1", company.port("mx"), timeout=20) as client:
        client.sendmail(SENDER, [recipient], "Subject: hello\n\nhello\n")


def test_an_added_alias_is_live_in_each_worker_without_a_search(company: Company) -> None:
    clients = company.connections()
    for client in clients.values():
        assert client.rcpt("new.name@example.com")[0] == 550
    with company.administrator() as admin:
        begin = time.monotonic()
        dn = f"uid=jane,ou=people,{company.base}"
        assert admin.modify(dn, {"gatepostAddress": [(ldap3.MODIFY_ADD, ["new.name@example.com"])]})
        for pid, client in clients.items():
            eventually(lambda client=client: client.rcpt("new.name@example.com")[0] == 250)  # type: ignore[misc]
            print(f"\nworker {pid}: accepted {(time.monotonic() - begin) * 1000:.0f} ms after ldapmodify")
    for client in clients.values():
        client.close()
    time.sleep(0.5)
    before = company.searches()
    assert before, "the log is read"
    for client in company.connections().values():
        for number in range(50):
            client.docmd("RSET")
            recipient = ("jane@example.com", "info@example.com", "everyone@example.com", "jane+x@example.com")[
                number % 4
            ]
            if number % 10 == 0:
                recipient = "nobody@example.com"
            code = client.mail(SENDER)[0]
            if code == 250 and client.rcpt(recipient)[0] == 250:
                client.data("Subject: one of many\r\n\r\nhello\r\n")
        client.close()
    assert company.searches() == before, "no search of the directory for 100 messages"


def test_renamed_and_moved_people_keep_mailbox_and_login(company: Company) -> None:
    send(company, "oliver@example.com")
    eventually(lambda: inbox(company, "oliver", "oliver-demo-password") >= 1)
    had = inbox(company, "oliver", "oliver-demo-password")
    with company.administrator() as admin:
        assert admin.modify_dn(f"uid=oliver,ou=people,{company.base}", "uid=oliver.smith"), admin.result
        assert admin.modify_dn(f"ou=people,{company.base}", "ou=staff"), admin.result
        try:
            eventually(lambda: login(company, "oliver.smith", "oliver-demo-password") == "OK")
            assert inbox(company, "oliver.smith", "oliver-demo-password") == had
            send(company, "oliver@example.com")
            assert inbox(company, "oliver@example.com", "oliver-demo-password") == had + 1
            assert login(company, "emma", "emma-demo-password") == "OK", "moved with the branch"
        finally:
            assert admin.modify_dn(f"ou=staff,{company.base}", "ou=people"), admin.result
    eventually(lambda: login(company, "alice", "alice-demo-password") == "OK")


def test_a_disabled_person_is_out_within_a_second(company: Company) -> None:
    for _ in range(6):
        assert login(company, "harry", "harry-demo-password") == "OK"
    with company.administrator() as admin:
        begin = time.monotonic()
        dn = f"uid=harry,ou=people,{company.base}"
        assert admin.modify(dn, {"gatepostStatus": [(ldap3.MODIFY_REPLACE, ["noaccess"])]}), admin.result
        eventually(lambda: "AUTHENTICATIONFAILED" in login(company, "harry", "harry-demo-password"))
        print(f"\nlogin refused {(time.monotonic() - begin) * 1000:.0f} ms after ldapmodify")
        for _ in range(6):
            assert "AUTHENTICATIONFAILED" in login(company, "harry", "harry-demo-password")
        assert admin.modify(dn, {"userPassword": [(ldap3.MODIFY_REPLACE, ["harrys next password"])],
                                 "gatepostStatus": [(ldap3.MODIFY_REPLACE, [])]}), admin.result  # fmt: skip
    eventually(lambda: login(company, "harry", "harrys next password") == "OK")
    for _ in range(6):
        assert login(company, "harry", "harrys next password") == "OK"
        assert "AUTHENTICATIONFAILED" in login(company, "harry", "harry-demo-password")


def test_many_logins_are_one_bind_and_flush_logins_makes_the_next_one_ask(company: Company) -> None:
    before = company.binds("sophie")
    for _ in range(10):
        assert login(company, "sophie", "sophie-demo-password") == "OK"
    assert company.binds("sophie") == before + 1
    for _ in range(10):
        assert "AUTHENTICATIONFAILED" in login(company, "sophie", "an old password")
    assert company.binds("sophie") == before + 2
    done = answer("directory", "flush-logins", "--json", "--config", company.facts["config_file"])
    assert (done.returncode, done.stdout) == (0, '{"flushed":true}\n')
    for _ in range(10):
        assert login(company, "sophie", "sophie-demo-password") == "OK"
    assert company.binds("sophie") == before + 3


def _rule(company: Company, change: tuple[str, list[str]]) -> None:
    connection = ldap3.Connection(
        ldap3.Server(company.ldapi.replace("%2F", "/"), get_info=ldap3.NONE),
        authentication=ldap3.SASL, sasl_mechanism=ldap3.EXTERNAL, sasl_credentials="", auto_bind=True,
    )  # fmt: skip
    try:
        assert connection.modify("olcDatabase={1}mdb,cn=config", {"olcAccess": [change]}), connection.result
    finally:
        connection.unbind()


def rcpt(company: RunningDemo, recipient: str, port: int = 0) -> int:
    with smtplib.SMTP("127.0.0.1", port or company.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail(SENDER)
        return client.rcpt(recipient)[0]


def test_a_rule_that_hides_everybody_is_not_everybody_deleted(company: Company) -> None:
    hide = f'{{0}}to dn.subtree="ou=people,{company.base}" by * none'
    _rule(company, (ldap3.MODIFY_ADD, [hide]))
    try:
        answer("directory", "resync", "--config", company.facts["config_file"])
        eventually(lambda: company.status()[0] == 1, 30)
        assert rcpt(company, "jane@example.com") == 451
        assert rcpt(company, "nobody@example.com") == 451
        assert "UNAVAILABLE" in login(company, "jane", "jane-demo-password")
        text = company.status()[1]
        assert "accounts" in text
        assert "accept-deletions" in text
    finally:
        _rule(company, (ldap3.MODIFY_DELETE, [hide]))
    answer("directory", "resync", "--config", company.facts["config_file"])
    eventually(lambda: rcpt(company, "jane@example.com") == 250, 30)
    eventually(lambda: rcpt(company, "nobody@example.com") == 550, 30)
    assert login(company, "jane", "jane-demo-password") == "OK"


def test_a_wrong_base_refuses_nobody(company: Company, tmp_path: Path) -> None:
    settings = yaml.safe_load(Path(company.facts["config_file"]).read_text())
    port = 2525 + free_offset()
    settings["listen"] = {"mx": [{"address": "127.0.0.1", "port": port, "tls": "none"}]}
    settings["directory"]["base"] = f"ou=nowhere,{company.base}"
    for key in ("state_dir", "run_dir"):
        settings[key] = str(tmp_path / key)
    (tmp_path / "mail").mkdir()
    settings["store"]["volumes"] = {"main": {"path": str(tmp_path / "mail")}}
    config = tmp_path / "gatepost.yaml"
    config.write_text(yaml.safe_dump(settings))
    with (tmp_path / "log").open("wb") as log:
        service = subprocess.Popen([*GATEPOST, "serve", "--config", str(config)], stderr=log, stdout=log)
    try:

        def answers() -> bool:
            try:
                return rcpt(company, "jane@example.com", port) == 451
            except OSError:
                return False

        eventually(answers, 40)
        for _ in range(20):
            assert rcpt(company, "nobody@example.com", port) == 451
            time.sleep(0.05)
        done = answer("status", "--config", str(config))
        assert done.returncode == 1
        assert re.search("nowhere|noSuchObject|base", done.stdout), done.stdout
    finally:
        service.terminate()
        service.wait(20)
