"""Keys made by the command, mail signed on its way out, signatures verified by Debian's opendkim."""

from __future__ import annotations

import json
import re
import smtplib
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dkim
import ldap3
import pytest
import yaml
from conftest import RunningDemo
from in_process import Said, answer
from scripted_smtp import ScriptedSmtp, scripted_smtp


@pytest.fixture(scope="module")
def old_host() -> Iterator[ScriptedSmtp]:
    """A host outside that takes 7-bit text only."""
    with scripted_smtp(ehlo=("PIPELINING",)) as host:
        yield host


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory, old_host: ScriptedSmtp) -> Iterator[RunningDemo]:
    """A demo of its own: its domain gets selectors, strangers get reports, and one domain outside has an old host."""
    running = RunningDemo(tmp_path_factory.mktemp("signing"))
    try:
        path = Path(running.facts["config_file"])
        config = yaml.safe_load(path.read_text())
        config["relay"]["routes"] = {"old.example": f"127.0.0.1:{old_host.port}"}
        config["bounce"] = {"to_strangers": True}
        path.write_text(yaml.safe_dump(config))
        assert run(running, "reload").returncode == 0
        deadline = time.monotonic() + 60
        while not old_host.messages:
            assert time.monotonic() < deadline, "the new configuration does not hold"
            with smtplib.SMTP("127.0.0.1", running.port("submission"), timeout=30) as client:
                client.starttls()
                client.login("jane", "jane-demo-password")
                text = "From: jane@example.com\nSubject: probe\n\nx\n"
                client.sendmail("jane@example.com", ["a@old.example"], text)
            time.sleep(0.5)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def keys(signing: RunningDemo) -> list[dict[str, str]]:
    """The records of the keys that sign for example.com, RSA and Ed25519."""
    records = json.loads(said(signing, "domain", "dkim", "example.com", "--selector", "live", "--json"))
    said(signing, "domain", "set", "example.com", "dkim_selectors=live", "dkim_selectors=live-ed")
    deadline = time.monotonic() + 20
    while b"DKIM-Signature" not in submit(signing, f"keys-{time.monotonic_ns()}"):
        assert time.monotonic() < deadline, "nothing is signed"
    return [one for one in records if one["selector"].startswith("live")]


def run(demo: RunningDemo, *words: str) -> Said:
    return answer(*words, "--config", demo.facts["config_file"])


def said(demo: RunningDemo, *words: str) -> str:
    done = run(demo, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sent(demo: RunningDemo, subject: str) -> bytes:
    """What came out at the far end, when one with that subject does."""
    folder = Path(demo.facts["smarthost"]["sink_dir"])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for path in folder.rglob("*"):
            if path.is_file() and subject.encode() in (octets := path.read_bytes()):
                return octets
        time.sleep(0.1)
    raise AssertionError(f"{subject} did not leave")


def submit(demo: RunningDemo, subject: str) -> bytes:
    with smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=30) as client:
        client.starttls()
        client.login("jane", "jane-demo-password")
        text = f"From: Jane <jane@example.com>\nTo: a@elsewhere.example\nSubject: {subject}\n\nHello  you \n.dot\n\n\n"
        client.sendmail("jane@example.com", ["a@elsewhere.example"], text)
    return sent(demo, subject)


def verified(folder: Path, message: bytes, records: list[dict[str, str]]) -> str:
    """What opendkim says of a message."""
    keys, config, file = folder / "keys", folder / "opendkim.conf", folder / "message"
    keys.write_text("".join(f"{one['name']} {one['value']}\n" for one in records))
    config.write_text(f"Mode v\nTestPublicKeys {keys}\nSocket local:{folder}/sock\n")
    file.write_bytes(message[message.index(b"DKIM-Signature") :].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    words = ["opendkim", "-x", str(config), "-t", str(file), "-v", "-v"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def proven(message: bytes, records: list[dict[str, str]]) -> list[tuple[str, bool]]:
    """(selector, whether dkimpy finds it good) of each signature, in order: OpenDKIM knows no Ed25519."""
    known = {f"{one['name']}.": one["value"].encode() for one in records}
    octets = message[message.index(b"DKIM-Signature") :].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    found = []
    for number in range(octets.count(b"\r\nDKIM-Signature:") + 1):
        verifier = dkim.DKIM(octets)
        try:
            good = verifier.verify(number, dnsfunc=lambda name, timeout=5: known.get(name.decode(), b""))
        except dkim.ValidationError:  # how it says that the body has changed
            good = False
        found.append((verifier.selector.decode(), good))
    return sorted(found)


def test_what_leaves_is_signed(signing: RunningDemo, keys: list[dict[str, str]], tmp_path: Path) -> None:
    assert [(each["selector"], each["algorithm"]) for each in keys] == [
        ("live", "rsa-sha256"),
        ("live-ed", "ed25519-sha256"),
    ]
    again = json.loads(said(signing, "domain", "dkim", "example.com", "--json"))
    assert [one for one in again if one["selector"].startswith("live")] == [{**one, "signs": True} for one in keys]
    assert "live._domainkey.example.com. IN TXT" in said(signing, "domain", "dkim", "example.com")
    (key,) = signing.folder.rglob("dkim/example.com/live.pem")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    message = submit(signing, f"after-{time.monotonic_ns()}")
    assert message.count(b"DKIM-Signature:") == 2 and b"a=ed25519-sha256" in message
    good = verified(tmp_path, message, keys)
    assert re.search(r"dkim=pass \(2048-bit key\)[^;]* header\.s=live ", good) and "succeeded" in good, good
    spoiled = verified(tmp_path, message.replace(b"Hello", b"Hallo"), keys)
    assert "succeeded" not in spoiled, spoiled


def test_a_name_that_is_none(signing: RunningDemo) -> None:
    done = run(signing, "domain", "dkim", "example.com", "--selector", "../x")
    assert done.returncode == 1 and "not a name" in done.stderr
    assert not list(signing.folder.rglob("x.pem"))


BOTH = [("live", True), ("live-ed", True)]


def test_ed25519_is_good_for_an_independent_verifier(signing: RunningDemo, keys: list[dict[str, str]]) -> None:
    message = submit(signing, "two-kinds-")
    assert proven(message, keys) == BOTH
    assert proven(message.replace(b"Hello", b"Hallo"), keys) == [("live", False), ("live-ed", False)]


def test_eight_bit_text_is_signed_as_it_leaves(
    signing: RunningDemo, keys: list[dict[str, str]], old_host: ScriptedSmtp
) -> None:
    text = (
        "From: Jane <jane@example.com>\nSubject: eight-bit-\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
        "Content-Transfer-Encoding: 8bit\n\nGr\u00fc\u00dfe\n"
    )
    with smtplib.SMTP("127.0.0.1", signing.port("submission"), timeout=30) as client:
        client.starttls()
        client.login("jane", "jane-demo-password")
        client.sendmail(
            "jane@example.com", ["b@old.example", "b@elsewhere.example"], text.encode(), mail_options=["BODY=8BITMIME"]
        )
    whole = sent(signing, "eight-bit-")
    assert "Gr\u00fc\u00dfe".encode() in whole and proven(whole, keys) == BOTH
    deadline = time.monotonic() + 20
    while not (encoded := [octets for _, _, octets in old_host.messages if b"eight-bit-" in octets]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert b"Gr=C3=BC=C3=9Fe" in encoded[0] and encoded[0].isascii()
    assert proven(encoded[0], keys) == BOTH


def test_copies_of_a_list_are_signed_by_its_domain(signing: RunningDemo, keys: list[dict[str, str]]) -> None:
    said(signing, "list", "add", "spread@example.com", "member@elsewhere.example")
    time.sleep(1.0)
    with smtplib.SMTP("127.0.0.1", signing.port("mx"), timeout=30) as client:
        text = "From: Far <f@far.example>\nSubject: spread-\n\nto all\n"
        client.sendmail("f@far.example", ["spread@example.com"], text)
    copy = sent(signing, "spread-")
    assert b"List-Id:" in copy and proven(copy, keys) == BOTH


def test_reports_are_signed(signing: RunningDemo, keys: list[dict[str, str]], tmp_path: Path) -> None:
    said(signing, "alias", "add", "half@example.com", "jane")
    with signing.administrator() as admin:
        assert admin.search(signing.facts["directory"]["base"], "(gatepostAddress=half@example.com)", attributes=[])
        change = {"gatepostForward": [(ldap3.MODIFY_ADD, ["nobody-at-all@example.com"])]}
        assert admin.modify(admin.response[0]["dn"], change), admin.result
    time.sleep(1.0)
    with smtplib.SMTP("127.0.0.1", signing.port("mx"), timeout=30) as client:
        text = "From: s@far.example\nSubject: half-lost-\n\nx\n"
        client.sendmail("s@far.example", ["half@example.com"], text)
    report = sent(signing, "half-lost-")
    assert b"multipart/report" in report and b"d=example.com" in report
    assert proven(report, keys) == BOTH
    assert "succeeded" in verified(tmp_path, report, keys)


def test_vacation_replies_are_signed(signing: RunningDemo, keys: list[dict[str, str]]) -> None:
    (address,) = [one["addresses"][0] for one in signing.facts["accounts"] if one["login"] == "jane"]
    signing.change("jane", {"gatepostVacation": ["TRUE"], "gatepostVacationSubject": ["away-signed-"]})
    with smtplib.SMTP("127.0.0.1", signing.port("mx"), timeout=30) as client:
        text = f"From: v@far.example\nTo: {address}\nSubject: question\nMessage-ID: <v1@far.example>\n\nx\n"
        client.sendmail("v@far.example", [address], text)
    assert proven(sent(signing, "away-signed-"), keys) == BOTH


def test_a_new_key_takes_over_without_a_gap(signing: RunningDemo, keys: list[dict[str, str]]) -> None:
    records = json.loads(said(signing, "domain", "dkim", "example.com", "--selector", "next", "--json"))
    assert [one["signs"] for one in records if one["selector"].startswith("live")] == [True, True]
    assert [one["signs"] for one in records if one["selector"].startswith("next")] == [False, False]
    assert "not in use: " in (text := said(signing, "domain", "dkim", "example.com")) and "next" in text
    assert proven(submit(signing, "before-the-change-"), records) == BOTH
    said(signing, "domain", "set", "example.com", "dkim_selectors=next", "dkim_selectors=live-ed")
    deadline = time.monotonic() + 20
    while (found := proven(submit(signing, f"change-{time.monotonic_ns()}"), records)) == BOTH:
        assert time.monotonic() < deadline
    assert found == [("live-ed", True), ("next", True)]
    said(signing, "domain", "set", "example.com", "dkim_selectors=live", "dkim_selectors=live-ed")
    while (found := proven(submit(signing, f"back-{time.monotonic_ns()}"), records)) != BOTH:
        assert time.monotonic() < deadline


def test_doctor_names_a_selector_without_a_key(signing: RunningDemo, keys: list[dict[str, str]]) -> None:
    said(signing, "domain", "set", "example.org", "dkim_selectors=missing")
    deadline = time.monotonic() + 20
    while "gatepostDkimSelector missing" not in (text := said(signing, "doctor", "directory")):
        assert time.monotonic() < deadline, text
    assert "gatepost domain dkim example.org --selector missing" in text
    assert "/dkim/example.com/" not in text, "its keys are there"
