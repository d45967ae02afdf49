"""A whole mail service whose directory is one LDIF file: mail in, mail read, a wrong password, a new person."""

from __future__ import annotations

import imaplib
import os
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from conftest import GATEPOST, eventually
from free_ports import free_port
from in_process import answer

from directory.embedded import hash_password
from gateway.store.markers import prepare_volume

PERSON = """dn: uid={name},o=x
objectClass: inetOrgPerson
uid: {name}
cn: {name}
mail: {name}@tiny.example
userPassword: {password}

"""


class Tiny:
    """The running service."""

    def __init__(self, folder: Path) -> None:
        self.ldif = folder / "company.ldif"
        self.mx, self.imap = free_port(), free_port()
        self.write("ann")
        for name in ("state", "run", "mail"):
            (folder / name).mkdir()
        prepare_volume(folder / "mail")
        self.config = folder / "gatepost.yaml"
        self.config.write_text(
            yaml.safe_dump(
                {
                    "state_dir": str(folder / "state"),
                    "run_dir": str(folder / "run"),
                    "workers": 1,
                    "directory": {
                        "servers": [f"file://{self.ldif}"],
                        "profile": "ldif",
                        "domains": ["tiny.example"],
                    },
                    "store": {"volumes": {"main": {"path": str(folder / "mail")}}},
                    "auth": {"plaintext": "loopback"},
                    "listen": {"mx": [{"port": self.mx, "tls": "none"}], "imap": [{"port": self.imap, "tls": "none"}]},
                }
            )
        )
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [*GATEPOST, "serve", "--config", str(self.config)], stdout=self.log, stderr=self.log
        )

    def write(self, *names: str) -> None:
        new = self.ldif.with_suffix(".new")
        new.write_text(
            "".join(PERSON.format(name=name, password=hash_password(f"pw-{name}", is_public=True)) for name in names)
        )
        os.rename(new, self.ldif)

    def rcpt(self, address: str) -> int:
        try:
            with smtplib.SMTP("127.0.0.1", self.mx, timeout=10) as client:
                client.ehlo()
                client.mail("me@elsewhere.example")
                return client.rcpt(address)[0]
        except OSError:
            return 0

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Tiny]:
    running = Tiny(tmp_path)
    yield running
    running.stop()


def test_a_service_on_one_file(tiny: Tiny) -> None:
    eventually(lambda: tiny.rcpt("ann@tiny.example") == 250)
    assert tiny.rcpt("bob@tiny.example") == 550
    with smtplib.SMTP("127.0.0.1", tiny.mx, timeout=10) as client:
        client.sendmail("me@elsewhere.example", ["ann@tiny.example"], b"Subject: hello\r\n\r\nhi\r\n")
    with imaplib.IMAP4("127.0.0.1", tiny.imap, timeout=10) as client, pytest.raises(imaplib.IMAP4.error):
        client.login("ann", "wrong")
    with imaplib.IMAP4("127.0.0.1", tiny.imap, timeout=10) as client:
        client.login("ann", "pw-ann")
        client.select("INBOX", readonly=True)
        _, data = client.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        assert b"hello" in data[0][1]  # type: ignore[index,operator]
    tiny.write("ann", "bob")
    eventually(lambda: tiny.rcpt("bob@tiny.example") == 250)
    done = answer("directory", "status", "--config", str(tiny.config))
    assert done.returncode == 0 and f"file://{tiny.ldif} (file)" in done.stdout, done.stdout + done.stderr
    for words, code, text in (
        (("user", "set", "ann", "quota=1G"), 5, "change the file"),
        (("passwd", "ann", "--stdin"), 5, "change the file"),
        (("doctor", "login", "ann"), 0, "the directory is a file"),
        (("doctor", "address", "bob@tiny.example"), 0, "250 2.1.5"),
    ):
        done = answer(*words, "--config", str(tiny.config), given="a new password\n")
        assert (done.returncode, text in done.stdout + done.stderr) == (code, True), (words, done)
    tiny.ldif.write_text("dn: broken\nthis is none\n")
    eventually(
        lambda: answer("status", "--config", str(tiny.config)).returncode == 1,
        60,
    )
    assert tiny.rcpt("ann@tiny.example") == 250 and tiny.rcpt("carol@tiny.example") == 451
