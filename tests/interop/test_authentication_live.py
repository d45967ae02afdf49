"""Mail from outside over SMTP with SPF and DKIM switched on: what its reader finds in Authentication-Results."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import ldap3
import pytest
from conftest import RunningDemo
from dkim_signing import signed
from in_process import answer, run
from scripted_dns import ScriptedDns, scripted_dns

from gateway.mail.dkim import Algorithm
from gateway.service.signing import txt

HERE = "ip4:127.0.0.1"
ZONE = {
    "pass.test TXT": [f'"v=spf1 {HERE} -all"'],
    "fail.test TXT": ['"v=spf1 -all"'],
    "soft.test TXT": ['"v=spf1 ~all"'],
    "many.test TXT": ['"v=spf1 ' + " ".join(f"a:h{number}.many.test" for number in range(11)) + ' -all"'],
    **{f"h{number}.many.test A": ["192.0.2.1"] for number in range(11)},
}


@dataclass
class Checked:
    demo: RunningDemo
    dns: ScriptedDns

    def send(self, return_path: str, text: bytes, to: str = "jane@example.com") -> None:
        with smtplib.SMTP("127.0.0.1", self.demo.port("mx"), timeout=60) as client:
            client.sendmail(return_path, [to], text.replace(b"\n", b"\r\n"))

    def arrived(self, subject: str, login: str = "jane") -> bytes:
        """The message with that subject, as it was stored."""
        maildir = next(Path(one["maildir"]) for one in self.demo.facts["accounts"] if one["login"] == login)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for path in maildir.rglob("*"):
                if path.is_file() and f"Subject: {subject}".encode() in (octets := path.read_bytes()):
                    return octets
            time.sleep(0.1)
        raise AssertionError(f"{subject} did not come")

    def do(self, *words: str) -> None:
        code, text = run(self.demo, *words)
        assert code == 0, text

    def results(self, subject: str) -> list[str]:
        """The parts of our field, the name of the host left out."""
        fields = message_from_bytes(self.arrived(subject)).get_all("Authentication-Results") or []
        assert len(fields) == 1, fields
        return [" ".join(part.split()) for part in fields[0].split(";")[1:]]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checked]:
    running = RunningDemo(tmp_path_factory.mktemp("authentication"))
    try:
        with scripted_dns(dict(ZONE)) as script:
            config = Path(running.facts["config_file"])
            more = (
                f"dns: {{servers: ['{script.server}'], timeout: 0.5, lifetime: 1}}\n"
                "filters: {authentication: {spf: true, dkim: true}}\n"
            )
            config.write_text(config.read_text() + more)
            done = answer("reload", "--config", str(config))
            assert done.returncode == 0, done.stdout + done.stderr
            found = Checked(running, script)
            taken, number, deadline = 0, 0, time.monotonic() + 60
            while taken < 5:  # by every worker
                assert time.monotonic() < deadline, "the new configuration does not hold"
                number += 1
                found.send("a@pass.test", f"From: a@pass.test\nSubject: probe-{number}-\n\nx\n".encode())
                taken = taken + 1 if b"spf=pass" in found.arrived(f"probe-{number}-") else 0
            yield found
    finally:
        running.stop()


def sign(folder: Path, text: bytes, script: ScriptedDns, domain: str, algorithm: Algorithm) -> bytes:
    selector = f"s{len(script.zone)}"
    octets, name, record = signed(text, folder, domain, selector=selector, algorithm=algorithm, now=time.time())
    script.zone[f"{name} TXT"] = [txt(record)]
    return octets


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("pass.test", "spf=pass"),
        ("fail.test", "spf=fail"),
        ("soft.test", "spf=softfail"),
        ("none.test", "spf=none"),
        ("many.test", 'spf=permerror reason="Too many DNS lookups"'),
    ],
)
def test_spf(checked: Checked, domain: str, expected: str) -> None:
    subject = f"spf-{domain}-"
    checked.send(f"a@{domain}", f"From: a@{domain}\nSubject: {subject}\n\nhello\n".encode())
    assert checked.results(subject) == [f"{expected} smtp.mailfrom=a@{domain}", "dkim=none"]


def test_dkim_through_smtp(checked: Checked, tmp_path: Path) -> None:
    text = (
        b"From: a@pass.test\nSubject: signed-well-\nTo: jane@example.com\n\n.dot\n8 bit: \xc3\xbc\nlong "
        + b"x" * 900
        + b" \n\n\n"
    )
    text = sign(tmp_path, text, checked.dns, "pass.test", "rsa-sha256")
    text = sign(tmp_path, text, checked.dns, "other.test", "ed25519-sha256")
    checked.send("a@pass.test", text)
    spf, other, own = checked.results("signed-well-")
    assert spf.startswith("spf=pass")
    assert re.match(
        r"dkim=pass header\.d=other\.test header\.s=s\d+ header\.a=ed25519-sha256 header\.b=\S{8,10}$", other
    )
    assert re.match(r"dkim=pass header\.d=pass\.test header\.s=s\d+ header\.a=rsa-sha256 header\.b=\S{8,10}$", own)
    stored = checked.arrived("signed-well-")
    assert stored.index(b"Authentication-Results:") < stored.index(b"Received:") < stored.index(b"DKIM-Signature:")
    checked.send("a@pass.test", text.replace(b"signed-well-", b"signed-badly-").replace(b".dot", b".dash"))
    assert checked.results("signed-badly-")[1].startswith('dkim=fail reason="the body has changed" header.d=other.test')


def test_a_large_message_from_the_spool(checked: Checked, tmp_path: Path) -> None:
    text = b"From: a@pass.test\nSubject: signed-large-\n\n" + b"some words of a large message\n" * 40_000
    checked.send("a@pass.test", sign(tmp_path, text, checked.dns, "pass.test", "rsa-sha256"))
    assert checked.results("signed-large-")[1].startswith("dkim=pass header.d=pass.test")


def test_a_forged_result_makes_way_for_ours(checked: Checked) -> None:
    by = re.search(r"\sby\s+(\S+)", message_from_bytes(checked.arrived("probe-1-")).get("Received", ""))
    assert by is not None
    host = by[1]
    text = f"Authentication-Results: {host}; spf=pass smtp.mailfrom=a@fail.test\nFrom: a@fail.test\nSubject: forged-\n\nx\n"
    checked.send("a@fail.test", text.encode())
    assert checked.results("forged-")[0] == "spf=fail smtp.mailfrom=a@fail.test"


def test_a_dead_dns_puts_no_message_off(checked: Checked, tmp_path: Path) -> None:
    text = sign(tmp_path, b"From: a@dead.test\nSubject: dead-dns-\n\nx\n", checked.dns, "dead.test", "ed25519-sha256")
    checked.dns.faults.add("silent")
    try:
        checked.send("a@dead.test", text)
    finally:
        checked.dns.faults.discard("silent")
    assert [one.partition(" ")[0] for one in checked.results("dead-dns-")] == ["spf=temperror", "dkim=temperror"]


def sent_out(demo: RunningDemo, text: bytes) -> bytes:
    """What came out at the far end with `text` in it."""
    folder = Path(demo.facts["smarthost"]["sink_dir"])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for path in folder.rglob("*"):
            if path.is_file() and text in (octets := path.read_bytes()):
                return octets
        time.sleep(0.1)
    raise AssertionError(f"{text!r} did not leave")


def test_a_moderator_outside_decides_by_a_signature(checked: Checked, tmp_path: Path) -> None:
    checked.do("list", "add", "calm@example.com", "jane")
    checked.do("list", "set", "calm@example.com", "moderation=all", "moderator_addresses=mod@pass.test")
    time.sleep(1.0)  # what the promise allows
    checked.send("x@none.test", b"From: x@none.test\nSubject: to-be-approved-\n\nhello\n", to="calm@example.com")
    told = sent_out(checked.demo, b"to-be-approved-").replace(b"\r\n", b"\n").replace(b"=\n", b"").replace(b"=3D", b"=")
    token = re.search(rb"subject=approve%20([a-z2-7]{26})", told)
    assert token is not None, told
    text = b"From: mod@pass.test\nTo: calm-request@example.com\nSubject: approve " + token[1] + b"\n\nyes\n"
    checked.send("mod@pass.test", text, to="calm-request@example.com")  # SPF alone proves no author
    checked.send(
        "x@none.test", sign(tmp_path, text, checked.dns, "none.test", "rsa-sha256"), to="calm-request@example.com"
    )
    checked.send(
        "x@none.test", sign(tmp_path, text, checked.dns, "pass.test", "rsa-sha256"), to="calm-request@example.com"
    )
    assert b"List-Id:" in checked.arrived("to-be-approved-")
    assert b"mod@pass.test" in sent_out(checked.demo, b"The post was sent to the members")
    log = (checked.demo.folder / "demo.log").read_text()
    assert log.count("event=decision-not-proven") == 2 and "event=post-approved" in log and "by=mod@pass.test" in log


def test_a_report_goes_to_who_is_proven_and_to_nobody_else(checked: Checked, tmp_path: Path) -> None:
    """An address behind which there are two, one of them gone: what fails after 250 is told to a proven return path."""
    checked.do("alias", "add", "both@example.com", "jane")
    with checked.demo.administrator() as admin:
        assert admin.search(
            checked.demo.facts["directory"]["base"], "(gatepostAddress=both@example.com)", attributes=[]
        )
        change = {"gatepostForward": [(ldap3.MODIFY_ADD, ["nobody-at-all@example.com"])]}
        assert admin.modify(admin.response[0]["dn"], change), admin.result
    time.sleep(1.0)
    for number, (path, signer) in enumerate((("a@fail.test", ""), ("b@pass.test", ""), ("c@fail.test", "fail.test"))):
        text = f"From: {path}\nSubject: half-lost-{number}-\n\nhello\n".encode()
        checked.send(
            path, sign(tmp_path, text, checked.dns, signer, "rsa-sha256") if signer else text, "both@example.com"
        )
        checked.arrived(f"half-lost-{number}-")
    for number in (1, 2):
        assert b"multipart/report" in sent_out(checked.demo, f"Subject: half-lost-{number}-".encode())
    with pytest.raises(StopIteration):
        folder = Path(checked.demo.facts["smarthost"]["sink_dir"])
        next(path for path in folder.rglob("*") if path.is_file() and b"half-lost-0-" in path.read_bytes())
