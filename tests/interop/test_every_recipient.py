"""swaks to every kind of recipient of the example company: the file is in each store, and nowhere else."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import RunningDemo

JANE = ("--auth", "PLAIN", "--auth-user", "jane", "--auth-password", "jane-demo-password")
SALES = {"jane", "jmueller", "oliver", "petra", "li.na"}
ENGINEERING = {"wangwei", "harry", "lukas", "anna", "zhang.min", "liu.yang"}


def swaks(demo: RunningDemo, service: str, *arguments: str) -> str:
    server = ("--server", f"127.0.0.1:{demo.port(service)}", "--timeout", "20")
    done = subprocess.run(["swaks", *server, *arguments], capture_output=True, text=True, timeout=60)
    return done.stdout


def delivered(demo: RunningDemo, text: bytes, expected: set[str]) -> None:
    """Each of `expected` has it once; where a step goes outside or waits, all of it comes out of the queue."""
    begin = time.monotonic()
    while (found := stores_with(demo, text)) != dict.fromkeys(expected, 1):
        assert time.monotonic() - begin < 20, (found, expected)
        time.sleep(0.05)


def stores_with(demo: RunningDemo, text: bytes) -> Counter[str]:
    """How often a message with `text` is in whose store."""
    found: Counter[str] = Counter()
    for account in demo.facts["accounts"]:
        for folder in ("cur", "new"):
            for path in (Path(account["maildir"]) / folder).glob("*"):
                found[account["login"] or account["addresses"][0]] += text in path.read_bytes()
    return +found


@pytest.mark.parametrize(
    ("number", "recipient", "expected"),
    [
        (1, "jane@example.com", {"jane"}),
        (2, "JANE@Example.COM", {"jane"}),
        (3, "jane+orders@example.com", {"jane"}),
        (4, "jane@example.net", {"jane"}),
        (5, "info@example.com", {"sophie", "emma"}),
        (6, "press@example.org", {"katharina"}),
        (7, "finance@example.com", {"alice", "henry", "ursula"}),
        (8, "support@example.com", {"helpdesk@example.com"}),
        (9, "li.na@xn--fsqu00a.example", {"li.na"}),
        (10, "postmaster", {"admin"}),
    ],
)
def test_from_outside(demo: RunningDemo, number: int, recipient: str, expected: set[str]) -> None:
    out = swaks(demo, "mx", "--from", "me@elsewhere.example", "--to", recipient, "--h-Subject", f"outside-{number}-")
    assert "<-  250 2.0.0 OK id=" in out, out
    delivered(demo, f"Subject: outside-{number}-".encode(), expected)


def test_an_internationalised_address(demo: RunningDemo) -> None:
    # swaks cannot say SMTPUTF8, curl can
    message = "Subject: 你好 utf8-1\n\ntext\n"
    done = subprocess.run(
        ["curl", "-sS", f"smtp://127.0.0.1:{demo.port('mx')}", "--mail-from", "me@elsewhere.example",
         "--mail-rcpt", "李娜@例子.example", "-T", "-"],
        input=message.encode(), capture_output=True, timeout=30,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    delivered(demo, b"utf8-1", {"li.na"})


def test_a_nested_list(demo: RunningDemo) -> None:
    submitted = ("--from", "jane@example.com", "--h-From", "jane@example.com", "--to", "staff@example.com")
    out = swaks(demo, "submission", *JANE, *submitted, "--h-Subject", "nested-1")
    assert "<-  250 2.0.0 OK id=" in out, out
    delivered(demo, b"Subject: nested-1", SALES | ENGINEERING | {"admin"})


def test_a_dynamic_list_of_everyone(demo: RunningDemo) -> None:
    submitted = ("--from", "jane@example.com", "--h-From", "jane@example.com", "--to", "everyone@example.com")
    out = swaks(demo, "submission", *JANE, *submitted, "--h-Subject", "dynamic-1")
    assert "<-  250 2.0.0 OK id=" in out, out
    people = {a["login"] for a in demo.facts["accounts"] if a["kind"] == "person"}
    # george's mail goes elsewhere, the others take none
    delivered(demo, b"Subject: dynamic-1", people - {"robot", "closed", "suspended", "george"})


def test_a_person_twice_gets_it_once(demo: RunningDemo) -> None:
    both = "info@example.com,sophie@example.com,emma+x@example.com"
    out = swaks(demo, "mx", "--from", "me@elsewhere.example", "--to", both, "--h-Subject", "once-1")
    assert "<-  250 2.0.0 OK id=" in out, out
    delivered(demo, b"Subject: once-1", {"sophie", "emma"})


@pytest.mark.parametrize(
    ("service", "arguments", "expected"),
    [
        ("mx", ("--from", "a@x.example", "--to", "b@y.example"), "550 5.7.1"),
        ("mx", ("--from", "a@x.example", "--to", "nobody@example.com"), "550 5.1.1"),
        ("mx", ("--from", "a@x.example", "--to", "closed@example.com"), "550 5.2.1"),
        ("mx", ("--from", "a@x.example", "--to", "everyone@example.com"), "550 5.7.1"),
        ("submission", (*JANE, "--from", "emma@example.com", "--to", "jane@example.com"), "553 5.7.1"),
    ],
)
def test_refused_in_the_session(demo: RunningDemo, service: str, arguments: tuple[str, ...], expected: str) -> None:
    out = swaks(demo, service, *arguments)
    assert f"<** {expected}" in out, out
