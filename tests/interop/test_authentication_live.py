"""Mail from outside over SMTP with SPF and DKIM switched on: what its reader finds in Authentication-Results."""

from __future__ import annotations

import re
import smtplib
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import pytest
from conftest import GATEPOST, RunningDemo
from scripted_dns import ScriptedDns, scripted_dns

from gateway.mail.dkim import Algorithm, BodyHash, signature
from gateway.mail.header import scan
from gateway.service.signing import key_path, load_key, make_key, txt

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
            words = [*GATEPOST, "reload", "--config", str(config)]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60)
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
    make_key(key_path(folder, domain, selector), algorithm)
    signer, record = load_key(key_path(folder, domain, selector), domain, selector)
    script.zone[f"{selector}._domainkey.{domain} TXT"] = [txt(record)]
    header, digest = scan(text), BodyHash()
    digest.update(text[header.end + 1 :])
    return signature(signer, (header,), digest.digest(), time.time()) + text


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
