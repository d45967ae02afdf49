"""Sending limits with a real client (msmtp): of an account, of its domain, by default, at their edges."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import ldap3
from conftest import RunningDemo, eventually
from in_process import run


def send(demo: RunningDemo, folder: Path, login: str, *recipients: str) -> str:
    """Send a message as a person; what msmtp says, "" = it was taken."""
    password = folder / "password"
    password.write_text(f"{login}-demo-password")
    done = subprocess.run(
        ["msmtp", "--host=127.0.0.1", f"--port={demo.port('submission')}", "--auth=plain", "--tls=off",
         f"--user={login}", f"--passwordeval=cat {password}", f"--from={login}@example.com", *recipients],
        input=f"From: {login}@example.com\nSubject: limits\n\nhello\n", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert bool(done.stderr) is bool(done.returncode), done.stderr
    return done.stderr


def of_domain(demo: RunningDemo, **values: list[str]) -> None:
    """Replace values of example.com's entry, and wait until they count."""
    with demo.administrator() as admin:
        assert admin.search(demo.facts["directory"]["base"], "(gatepostDomainName=example.com)", attributes=[])
        changes = {name: [(ldap3.MODIFY_REPLACE, value)] for name, value in values.items()}
        assert admin.modify(admin.response[0]["dn"], changes), admin.result

    def counts() -> bool:
        shown = json.loads(run(demo, "domain", "show", "example.com", "--json")[1])
        return list(shown.get("domain_send_limits", ())) == values.get("gatepostDomainSendLimit", [])

    eventually(counts)


def test_an_account_at_its_edge(demo: RunningDemo, tmp_path: Path) -> None:
    demo.change("emma", {"gatepostSendLimit": ["3/h"]})
    assert send(demo, tmp_path, "emma", "a@elsewhere.example", "b@elsewhere.example") == ""
    assert "450 4.7.1 sending limit reached" in send(demo, tmp_path, "emma", "c@elsewhere.example", "jane@example.com")
    assert send(demo, tmp_path, "emma", "jane@example.com") == ""
    assert "450 4.7.1" in send(demo, tmp_path, "emma", "jane@example.com")
    demo.change("emma", {"gatepostSendLimit": ["none"]})
    assert send(demo, tmp_path, "emma", "jane@example.com") == ""


def test_the_accounts_of_a_domain_together(demo: RunningDemo, tmp_path: Path) -> None:
    of_domain(demo, gatepostDomainSendLimit=["3/h"])
    try:
        assert send(demo, tmp_path, "jane", "oliver@example.com", "emma@example.com") == ""
        assert "450 4.7.1" in send(demo, tmp_path, "oliver", "jane@example.com", "emma@example.com")
        assert send(demo, tmp_path, "oliver", "jane@example.com") == ""
        assert "450 4.7.1" in send(demo, tmp_path, "emma", "jane@example.com")
    finally:
        of_domain(demo, gatepostDomainSendLimit=[])
    assert send(demo, tmp_path, "emma", "jane@example.com") == ""


def test_the_default_of_a_domain_holds_for_each_account(demo: RunningDemo, tmp_path: Path) -> None:
    of_domain(demo, gatepostSendLimit=["1/h"])
    try:
        for login in ("jane", "oliver"):
            eventually(lambda login=login: json.loads(run(demo, "user", "show", login, "--json")[1])["send_limits"])
        assert send(demo, tmp_path, "jane", "emma@example.com") == ""
        assert "450 4.7.1" in send(demo, tmp_path, "jane", "emma@example.com")
        assert send(demo, tmp_path, "oliver", "emma@example.com") == ""
    finally:
        of_domain(demo, gatepostSendLimit=[])
