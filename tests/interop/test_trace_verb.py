"""gatepost trace on a live system: the story of every message of a mixed run, from SMTP to its end."""

from __future__ import annotations

import json
import os
import re
import smtplib
import time
from typing import Any

import pytest
from conftest import RunningDemo
from in_process import answer


def trace(demo: RunningDemo, query: str, *more: str) -> tuple[int, str]:
    done = answer("trace", query, "--config", demo.facts["config_file"], *more)
    return done.returncode, done.stdout


def stories(demo: RunningDemo, query: str, *more: str) -> list[dict[str, Any]]:
    found = json.loads(trace(demo, query, "--json", *more)[1])
    assert isinstance(found, list)
    return found


def send(demo: RunningDemo, service: str, sender: str, recipients: list[str], login: str = "") -> str:
    """The id that the server gave."""
    kind = smtplib.LMTP if service == "lmtp" else smtplib.SMTP
    with kind("127.0.0.1", demo.port(service), timeout=20) as client:
        client.ehlo("here.example")
        if login:
            client.login(login, f"{login}-demo-password")
        assert client.mail(sender)[0] == 250
        for recipient in recipients:
            client.rcpt(recipient)
        code, text = client.data(
            f"From: {sender}\r\nSubject: plan 9\r\nMessage-ID: <{time.time_ns()}@x>\r\n\r\nhello\r\n"
        )
        if service == "lmtp":
            assert all(client.getreply()[0] == 250 for _ in recipients[1:])
    assert code == 250, text
    match = re.search(rb"id=(\S+)", text)
    assert match is not None
    return match[1].decode()


def test_every_message_of_a_mixed_run_has_a_whole_story(demo: RunningDemo) -> None:
    sent: dict[str, set[str]] = {}
    for number in range(8):
        sender = f"s{number}@far.example"
        sent[send(demo, "mx", sender, ["jane@example.com", "nobody@example.com"])] = {"jane@example.com"}
        sent[send(demo, "lmtp" if number % 2 else "mx", sender, ["helpdesk@example.com", "emma@example.com"])] = {
            "helpdesk@example.com", "emma@example.com",
        }  # fmt: skip
        out = f"friend{number}@elsewhere.example"
        sent[send(demo, "submission", "jane@example.com", [out, "oliver@example.com"], "jane")] = {
            out,
            "oliver@example.com",
        }
    deadline = time.monotonic() + 30
    for each, recipients in sent.items():
        while True:
            (story,) = stories(demo, each)
            events = story["events"]
            ended = {e["recipient"] for e in events if e["event"] == "delivered" or e.get("state") == "done"}
            if ended == recipients:
                break
            assert time.monotonic() < deadline, story
            time.sleep(0.1)
        assert events[0]["event"] == "received" and events[0]["id"] == each
        assert {"accepted"} <= {e["event"] for e in events}
        assert [e["at"] for e in events] == sorted(e["at"] for e in events)


def test_a_refused_recipient_is_found_by_sender_and_by_address(demo: RunningDemo) -> None:
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.ehlo()
        client.mail("asker@far.example")
        client.rcpt("who@example.com")
    for query in ("asker@far.example", "WHO@example.com"):
        code, text = trace(demo, query)
        assert code == 0
        assert "refused" in text and "550 5.1.1" in text and "<asker@far.example>" in text


def test_words_for_people_and_subjects_for_auditors_only(demo: RunningDemo) -> None:
    each = send(demo, "mx", "reader@far.example", ["jane@example.com"])
    code, text = trace(demo, each)
    assert code == 0
    assert "by mx from 127.0.0.1, for jane@example.com" in text
    assert "the client got 250" in text and "UID" in text
    assert "plan 9" not in text
    assert "plan 9" not in trace(demo, each, "--json")[1]
    if os.getuid() == 0:
        assert "Subject: plan 9" in trace(demo, each, "--subjects")[1]
        assert stories(demo, each, "--subjects")[0]["events"][0]["subject"] == "plan 9"
    else:
        assert trace(demo, each, "--subjects")[0] == 5


@pytest.mark.parametrize(
    "arguments", [["x@y", "--since", "soon"], ["x@y", "--since", "-1d"], ["x@y", "--limit", "0"], []]
)
def test_wrong_usage(demo: RunningDemo, arguments: list[str]) -> None:
    done = answer("trace", *arguments, "--config", demo.facts["config_file"])
    assert done.returncode == 2, done.stderr


@pytest.mark.parametrize("since", ["7d", "90", "1.5h", "999999999999d"])
def test_nothing_found_is_no(demo: RunningDemo, since: str) -> None:
    code, text = trace(demo, "stranger@nowhere.example", "--since", since)
    assert code == 1
    assert "nothing about stranger@nowhere.example" in text
    assert stories(demo, "stranger@nowhere.example") == []
