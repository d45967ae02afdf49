"""kill -9 of the queue runner, a worker and the master while mail goes out, is spread and bounces.

Accepted = delivered + bounced + queued: every copy comes, every failure is told, in the end nothing is left. A copy may
come as often as its message was sent, and once more for each kill that came while it was under way: the far end's answer was
lost.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import random
import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import RunningDemo, eventually
from scripted_smtp import ScriptedSmtp, scripted_smtp

from gateway.service import overview
from gateway.store.markers import prepare_volume

LONG = bool(os.environ.get("GATEPOST_LONG_TESTS"))
MESSAGES = 2_000 if LONG else 100
VICTIMS = ("queue", "worker-0", "queue", "master", "queue") * (8 if LONG else 1)
ACTIVE = 8  # messages under way at once, so many answers a kill may lose
TRY_SECONDS = 60.0
SENDERS = 4
OK, LATER, NO = "ok@far.example", "later@far.example", "no@far.example"
#: by kind of message: to whom it is sent, where its copies must come
KINDS = (
    (OK, (OK,)),
    ("spread@example.com", ("jane", "out@far.example")),
    ("round@example.com", ("jane", "member@far.example")),
    (NO, ("report",)),
    (LATER, (LATER,)),
)


class Service:
    """An instance of its own on a demo's directory, that may die and come back as it was."""

    def __init__(self, demo: RunningDemo, folder: Path, far_end: int) -> None:
        (folder / "mail").mkdir(parents=True)
        prepare_volume(folder / "mail")
        self.ports = {name: _free_port() for name in ("submission", "imap")}
        settings: dict[str, Any] = yaml.safe_load((demo.folder / "gatepost.yaml").read_text())
        settings |= {
            "state_dir": str(folder / "state"),
            "run_dir": str(folder / "run"),
            "workers": 2,
            "listen": {
                name: [{"address": "127.0.0.1", "port": port, "tls": "none"}] for name, port in self.ports.items()
            },
            "store": {"volumes": {"main": {"path": str(folder / "mail")}}},
            "relay": {"smarthost": f"127.0.0.1:{far_end}", "idle_time": "1s"},
            "queue": {"retry_first": "1s", "retry_max": "1s", "dead_first": "1s", "active_max": ACTIVE},
            "bounce": {"to_strangers": True},
        }
        self._killed: set[int] = set()
        self.config, self.folder = folder / "gatepost.yaml", folder
        self.config.write_text(yaml.safe_dump(settings))
        self.start()

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        for port in self.ports.values():
            eventually(lambda port=port: _answers(port))  # type: ignore[misc]

    def _shoot(self, name: str) -> bool:
        """False until the master shows a child of that name that lives."""
        shown = overview.read(self.folder / "run")
        for child in shown.children if shown is not None else ():
            if child.name == name and child.pid not in self._killed:
                self._killed.add(child.pid)
                with contextlib.suppress(ProcessLookupError):  # of a master that was killed
                    os.kill(child.pid, signal.SIGKILL)
                    return True
        return False

    def kill(self, name: str) -> None:
        if name == "master":
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            eventually(lambda: overview.read(self.folder / "run") is None)
            self.start()
            return
        eventually(lambda: self._shoot(name))

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def waiting(self) -> int:
        return len(os.listdir(self.folder / "state" / "queue" / "message"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Senders:
    """Numbered messages, each tried until its 250."""

    def __init__(self, service: Service) -> None:
        self._service, self._numbers = service, iter(range(MESSAGES))
        self._lock = threading.Lock()
        self.accepted: set[int] = set()
        self.attempts: Counter[int] = Counter()
        self.threads = [threading.Thread(target=self._run) for _ in range(SENDERS)]
        for thread in self.threads:
            thread.start()

    def wait_for(self, accepted: int) -> None:
        eventually(lambda: len(self.accepted) >= accepted, 120)

    def _run(self) -> None:
        while True:
            with self._lock:
                number = next(self._numbers, None)
            if number is None:
                return
            until = time.monotonic() + TRY_SECONDS
            while number not in self.accepted and time.monotonic() < until:
                try:
                    with smtplib.SMTP("127.0.0.1", self._service.ports["submission"], timeout=20) as client:
                        client.login("jane", "jane-demo-password")
                        self.attempts[number] += 1
                        text = f"From: jane@example.com\nSubject: number {number} of many\n\nx\n"
                        client.sendmail("jane@example.com", [KINDS[number % len(KINDS)][0]], text)
                    self.accepted.add(number)
                except (OSError, smtplib.SMTPException):
                    time.sleep(0.2)


def _number(octets: bytes) -> int:
    found = re.search(rb"^Subject: number (\d+) of many", octets, re.MULTILINE)
    assert found is not None, octets
    return int(found[1])


def found(service: Service, far_end: ScriptedSmtp) -> Counter[tuple[int, str]]:
    """Every copy of every message, and every report on one, that came so far."""
    copies: Counter[tuple[int, str]] = Counter()
    for _, recipients, octets in list(far_end.messages):
        copies.update((_number(octets), recipient[9:].partition(">")[0]) for recipient in recipients)
    with imaplib.IMAP4("127.0.0.1", service.ports["imap"], timeout=30) as client:
        client.login("jane", "jane-demo-password")
        client.select("INBOX", readonly=True)
        for part in client.fetch("1:*", "(BODY.PEEK[])")[1]:
            if isinstance(part, tuple):
                is_report = b"multipart/report" in part[1]
                copies[_number(part[1]), "report" if is_report else "jane"] += 1
    return copies


def _entries(demo: RunningDemo) -> None:
    facts = demo.facts["directory"]
    with demo.administrator() as admin:
        admin.search(facts["base"], "(uid=jane)", attributes=[])
        jane = admin.response[0]["dn"]
        admin.add(
            f"cn=spread,ou=mail,{facts['base']}", ["gatepostEntry", "gatepostAlias"],
            {"gatepostAddress": "spread@example.com", "gatepostForward": "out@far.example", "gatepostTarget": jane},
        )  # fmt: skip
        assert admin.result["result"] == 0, admin.result
        admin.add(
            f"cn=round,ou=mail,{facts['base']}", ["gatepostEntry", "gatepostList"],
            {"gatepostAddress": "round@example.com", "gatepostMemberAddress": "member@far.example", "member": jane},
        )  # fmt: skip
        assert admin.result["result"] == 0, admin.result


@pytest.mark.timeout(240 if not LONG else 3_000)
def test_nothing_is_lost_or_repeated(demo: RunningDemo, tmp_path: Path) -> None:
    _entries(demo)
    chance = random.Random(3)
    replies = {f"RCPT TO:<{NO}>": "550 5.1.1 nobody", f"RCPT TO:<{LATER}>": "451 4.2.0 come again"}
    with scripted_smtp(replies=replies) as far_end:
        service = Service(demo, tmp_path / "service", far_end.port)
        try:
            eventually(lambda: _takes(service))
            senders = Senders(service)
            for number, victim in enumerate(VICTIMS, 1):
                senders.wait_for(MESSAGES * number // (len(VICTIMS) + 1))
                time.sleep(chance.random() / 5)
                service.kill(victim)
            for thread in senders.threads:
                thread.join()
            assert senders.accepted == set(range(MESSAGES))
            del far_end.replies[f"RCPT TO:<{LATER}>"]
            eventually(lambda: service.waiting() == 0, 60)
            copies = found(service, far_end)
        finally:
            service.stop()
    expected = {(number, where) for number in senders.accepted for where in KINDS[number % len(KINDS)][1]}
    assert set(copies) == expected, "lost, or there without a reason"
    again = sum(max(0, count - senders.attempts[number]) for (number, _), count in copies.items())
    print(f"{MESSAGES} accepted, {sum(senders.attempts.values())} attempts, {sum(copies.values())} copies and reports,"
          f" {again} more than were sent after {len(VICTIMS)} kills")  # fmt: skip
    assert again <= len(VICTIMS) * ACTIVE
    for (number, where), count in copies.items():
        assert count <= senders.attempts[number] + len(VICTIMS), f"{number} came {count} times to {where}"


def _takes(service: Service) -> bool:
    """It has read the directory."""
    try:
        with smtplib.SMTP("127.0.0.1", service.ports["submission"], timeout=20) as client:
            client.login("jane", "jane-demo-password")
            client.mail("jane@example.com")
            return all(client.rcpt(recipient)[0] == 250 for recipient, _ in KINDS)
    except (OSError, smtplib.SMTPException):
        return False
