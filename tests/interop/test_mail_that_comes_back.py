"""Mail that goes round through another host ends with one report; a directory that dies behind RCPT costs nobody a message."""

from __future__ import annotations

import os
import signal
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from aiosmtpd.smtp import SMTP, Envelope, Session
from conftest import RunningDemo, eventually
from in_process import answer
from taking_host import taking

from gateway.service import overview


class Mirror:
    """Another host that sends everything for back@far.example on to an alias of ours, and keeps the rest."""

    def __init__(self) -> None:
        self.port = 0
        self.rounds = 0
        self.kept: list[str] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if envelope.rcpt_tos != ["back@far.example"]:
            self.kept += envelope.rcpt_tos
            return "250 2.0.0 kept"
        assert isinstance(envelope.content, bytes)
        self.rounds += 1
        with smtplib.SMTP("127.0.0.1", self.port, timeout=20) as client:
            try:
                client.sendmail(
                    envelope.mail_from or "", ["round@example.com"], b"Received: by far.example\r\n" + envelope.content
                )
            except smtplib.SMTPDataError as error:
                return f"{error.smtp_code} {error.smtp_error.decode()}"
        return "250 2.0.0 sent on"


@pytest.fixture(scope="module")
def mirror() -> Iterator[tuple[Mirror, int]]:
    handler = Mirror()
    with taking(handler) as port:
        yield handler, port


@pytest.fixture(scope="module")
def mirrored(demo: RunningDemo, mirror: tuple[Mirror, int]) -> RunningDemo:
    path = Path(demo.facts["config_file"])
    settings = yaml.safe_load(path.read_text())
    settings["relay"]["smarthost"] = f"127.0.0.1:{mirror[1]}"
    settings["smtp"] = {"max_hops": 12}
    settings["bounce"] = {"to_strangers": True}
    path.write_text(yaml.safe_dump(settings))
    done = answer("reload", "--config", str(path))
    assert done.returncode == 0, done.stderr
    with demo.administrator() as admin:
        admin.add(
            f"cn=round,ou=mail,{demo.facts['directory']['base']}", ["gatepostEntry", "gatepostAlias"],
            {"gatepostAddress": "round@example.com", "gatepostForward": "back@far.example"},
        )  # fmt: skip
        assert admin.result["result"] == 0, admin.result
    mirror[0].port = demo.port("mx")
    eventually(lambda: _rcpt(demo, "round@example.com") == 250)
    return demo


def _rcpt(demo: RunningDemo, recipient: str) -> int:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail("me@elsewhere.example")
        return client.rcpt(recipient)[0]


def _waiting(demo: RunningDemo) -> int:
    return len(os.listdir(Path(demo.facts["state_dir"]) / "queue" / "message"))


def test_a_forward_that_comes_back_ends_with_one_report(mirrored: RunningDemo, mirror: tuple[Mirror, int]) -> None:
    before = len(mirror[0].kept)
    with smtplib.SMTP("127.0.0.1", mirrored.port("mx"), timeout=20) as client:
        client.sendmail("me@elsewhere.example", ["round@example.com"], "Subject: round\n\nx\n")
    eventually(lambda: mirror[0].kept[before:], 60)
    eventually(lambda: _waiting(mirrored) == 0)
    assert 3 <= mirror[0].rounds <= 12
    assert mirror[0].kept[before:] == ["me@elsewhere.example"], "one report, to who began it"
    print(f"ended after {mirror[0].rounds} rounds")


def test_a_directory_that_dies_between_rcpt_and_the_end_of_data(
    mirrored: RunningDemo, mirror: tuple[Mirror, int]
) -> None:
    demo, before = mirrored, len(mirror[0].kept)
    maildir = next(Path(a["maildir"]) for a in demo.facts["accounts"] if a["login"] == "jane")
    with smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=20) as client:
        client.ehlo()
        client.login("jane", "jane-demo-password")
        client.mail("jane@example.com")
        assert [client.rcpt(one)[0] for one in ("jane@example.com", "x@far.example")] == [250, 250]
        os.kill(demo.facts["pids"]["slapd"], signal.SIGKILL)
        shown = overview.read(demo.folder / "run")
        assert shown is not None
        os.kill(next(child.pid for child in shown.children if child.name == "agent"), signal.SIGKILL)
        assert client.data("From: jane@example.com\r\nSubject: midway\r\n\r\nx\r\n")[0] == 250
    eventually(lambda: _waiting(demo) == 0)
    time.sleep(1.0)
    assert mirror[0].kept[before:] == ["x@far.example"]
    found = [path for path in maildir.glob("*/*") if path.is_file() and b"Subject: midway" in path.read_bytes()]
    assert len(found) == 1, "once, and no report"
