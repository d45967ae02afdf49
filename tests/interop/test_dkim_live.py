"""Keys made by the command, mail signed on its way out, signatures verified by Debian's opendkim."""

from __future__ import annotations

import json
import smtplib
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import GATEPOST, RunningDemo


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of its own: its domain gets selectors."""
    running = RunningDemo(tmp_path_factory.mktemp("signing"))
    yield running
    running.stop()


def run(demo: RunningDemo, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GATEPOST, *words, "--config", demo.facts["config_file"]], capture_output=True, text=True, timeout=60
    )


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


def test_what_leaves_is_signed(signing: RunningDemo, tmp_path: Path) -> None:
    assert b"DKIM-Signature" not in submit(signing, "before-the-key")
    records = json.loads(said(signing, "domain", "dkim", "example.com", "--selector", "one", "--json"))
    assert [(each["selector"], each["algorithm"]) for each in records] == [
        ("one", "rsa-sha256"),
        ("one-ed", "ed25519-sha256"),
    ]
    assert records == json.loads(said(signing, "domain", "dkim", "example.com", "--json")), "made once"
    assert "one._domainkey.example.com. IN TXT" in said(signing, "domain", "dkim", "example.com")
    (key,) = signing.folder.rglob("dkim/example.com/one.pem")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    said(signing, "domain", "set", "example.com", "dkim_selectors=one", "dkim_selectors=one-ed")
    deadline = time.monotonic() + 20
    while b"DKIM-Signature" not in (message := submit(signing, f"after-{time.monotonic_ns()}")):
        assert time.monotonic() < deadline
    assert message.count(b"DKIM-Signature:") == 2 and b"a=ed25519-sha256" in message
    good = verified(tmp_path, message, records)
    assert "s=one," in good and "succeeded" in good, good
    spoiled = verified(tmp_path, message.replace(b"Hello", b"Hallo"), records)
    assert "succeeded" not in spoiled, spoiled


def test_a_name_that_is_none(signing: RunningDemo) -> None:
    done = run(signing, "domain", "dkim", "example.com", "--selector", "../x")
    assert done.returncode == 1 and "not a name" in done.stderr
    assert not list(signing.folder.rglob("x.pem"))
