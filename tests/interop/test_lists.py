"""Mailing lists on a running system with a real directory: lists in lists, members outside, what they get."""

from __future__ import annotations

import os
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest
from conftest import RunningDemo


class Company:
    """The demo, with what the tests do to it."""

    def __init__(self, demo: RunningDemo) -> None:
        self.demo = demo
        facts = demo.facts["directory"]
        self.base = facts["base"]
        server = ldap3.Server(facts["uri"], get_info=ldap3.NONE)
        self.ldap = ldap3.Connection(server, facts["admin_dn"], facts["admin_password"], auto_bind=True)

    def person(self, uid: str) -> str:
        return f"uid={uid},ou=people,{self.base}"

    def list_dn(self, name: str) -> str:
        return f"cn={name},ou=groups,{self.base}"

    def add_list(self, name: str, **attributes: str | list[str]) -> None:
        values = {"gatepostAddress": f"{name}@example.com", **attributes}
        self.ldap.add(self.list_dn(name), ["gatepostEntry", "gatepostList"], values)
        assert self.ldap.result["result"] == 0, self.ldap.result

    def send(self, recipient: str, text: str, sender: str = "me@elsewhere.example") -> None:
        """By the MX; what was made a moment ago may not be known yet."""
        begin = time.monotonic()
        while True:
            try:
                with smtplib.SMTP("127.0.0.1", self.demo.port("mx"), timeout=20) as client:
                    client.sendmail(sender, [recipient], text)
                return
            except smtplib.SMTPRecipientsRefused:
                if time.monotonic() - begin > 10:
                    raise
                time.sleep(0.02)

    def stored(self, login: str, text: bytes, seconds: float = 20) -> list[Path]:
        """Files of that person with `text` in them, at least one."""
        (maildir,) = [Path(a["maildir"]) for a in self.demo.facts["accounts"] if login in (a["login"], *a["addresses"])]
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            found = [p for folder in ("cur", "new") for p in (maildir / folder).iterdir() if text in p.read_bytes()]
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{text!r} never came to {login}")

    def outside(self, text: bytes, seconds: float = 20) -> list[bytes]:
        """What left with `text` in it, at least one."""
        folder = Path(self.demo.facts["smarthost"]["sink_dir"])
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            found = [content for p in folder.glob("*.eml") if text in (content := p.read_bytes())]
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{text!r} never left")


@pytest.fixture(scope="module")
def company(demo: RunningDemo) -> Iterator[Company]:
    made = Company(demo)
    yield made
    made.ldap.unbind()


def test_three_levels_with_a_cycle_a_dangling_name_and_somebody_outside(company: Company) -> None:
    company.add_list(
        "level3", member=[company.person("harry"), company.list_dn("level1")], gatepostMemberAddress="out@far.example"
    )
    company.add_list("level2", member=[company.list_dn("level3"), f"uid=gone,{company.base}", company.person("anna")])
    company.add_list(
        "level1",
        member=[company.list_dn("level2"), company.person("jane"), company.person("anna")],
        owner=company.person("jane"),
        gatepostSubjectTag="[one]",
        gatepostReplyTo="list",
    )
    company.send("level1@example.com", "From: me@elsewhere.example\nSubject: three levels\nList-Id: <x.y>\n\nbody\n")
    for login in ("jane", "anna", "harry"):
        (path,) = company.stored(login, b"three levels")
        content = path.read_bytes()
        assert b"\nSubject: [one] three levels\n" in content
        assert b"\nReply-To: level1@example.com\n" in content
        assert b"\nList-Id: <level1.example.com>\n" in content
        assert b"\nList-Owner: <mailto:level1-owner@example.com>\n" in content
        assert b"x.y" not in content
    (left,) = company.outside(b"three levels")
    assert b"\r\nX-Envelope-To: <out@far.example>\r\n" in left
    assert b"\r\nList-Id: <level1.example.com>\r\n" in left
    assert left.startswith(b"X-Envelope-From: <level3-bounces")


def test_members_here_share_one_file(company: Company) -> None:
    company.add_list("shared", member=[company.person("jane"), company.person("harry")], gatepostSubjectTag="[s]")
    company.send("shared@example.com", "Subject: one file\n\n" + "x" * 500 + "\n" + "y\n" * 150_000)
    (one,), (two,) = company.stored("jane", b"[s] one file"), company.stored("harry", b"[s] one file")
    assert os.stat(one).st_ino == os.stat(two).st_ino


def test_what_comes_back_is_refused(company: Company) -> None:
    company.add_list("round", member=company.person("jane"))
    company.send("round@example.com", "Subject: first time\n\nbody\n")
    (path,) = company.stored("jane", b"first time")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        company.send("round@example.com", path.read_text().partition("\n")[2])
    assert refused.value.smtp_code == 554
    assert b"5.4.6" in refused.value.smtp_error
