"""gatepost queue on a live system whose next host is away, and comes back."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from conftest import RunningDemo, eventually
from in_process import answer
from taking_host import taking


def gatepost(demo: RunningDemo, *words: str, code: int = 0) -> str:
    done = answer(*words, "--config", demo.facts["config_file"])
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def listed(demo: RunningDemo) -> dict[str, dict[str, Any]]:
    return {facts["id"]: facts for facts in json.loads(gatepost(demo, "queue", "list", "--json"))}


def send(demo: RunningDemo, recipient: str) -> str:
    with smtplib.SMTP("127.0.0.1", demo.port("submission"), timeout=20) as client:
        client.ehlo("here.example")
        client.login("jane", "jane-demo-password")
        client.mail("jane@example.com")
        client.rcpt(recipient)
        code, text = client.data("From: jane@example.com\r\nSubject: x\r\n\r\nhello\r\n")
    assert code == 250
    return text.decode().partition("id=")[2].split()[0]


class FarEnd:
    def __init__(self) -> None:
        self.taken: list[str] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.taken += envelope.rcpt_tos
        return "250 2.0.0 kept"


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def alone(demo: RunningDemo) -> Iterator[RunningDemo]:
    """Nobody takes mail for outside."""
    sink = demo.facts["pids"]["sink"]
    if answers(demo.facts["smarthost"]["sink_port"]):
        os.kill(sink, signal.SIGTERM)
        eventually(lambda: not answers(demo.facts["smarthost"]["sink_port"]))
    yield demo
    for message in listed(demo):
        gatepost(demo, "queue", "drop", message, "--yes")


def test_what_waits_is_told_and_goes_when_the_host_is_back(alone: RunningDemo) -> None:
    demo = alone
    one = send(demo, "one@elsewhere.example")
    gatepost(demo, "queue", "flush")  # tried, whatever is known of the host
    eventually(lambda: listed(demo)[one]["targets"][0]["attempts"] > 0)
    (target,) = listed(demo)[one]["targets"]
    assert (target["address"], target["state"]) == ("one@elsewhere.example", "waiting")
    text = gatepost(demo, "queue", "list")
    assert one in text and "jane@example.com" in text and "one@elsewhere.example" in text and "waiting" in text
    assert "one@elsewhere.example: waiting" in gatepost(demo, "queue", "show", one)
    told = gatepost(demo, "queue", "explain", one)
    assert "last answer: " in told and "tried next " in told and "which does not answer" in told
    explained = json.loads(gatepost(demo, "queue", "explain", one, "--json"))
    assert explained["targets"][0]["attempts"] >= 1
    state = json.loads(gatepost(demo, "status", "--json"))["queue"]
    assert (state["deferred"], state["local"], state["concurrency_local"]) == (1, 0, 10)
    assert "local 0/10 remote 0/20" in gatepost(demo, "status")
    assert "status: local 0/10 remote 0/20" in (demo.folder / "demo.log").read_text()

    two = send(demo, "two@elsewhere.example")
    eventually(lambda: listed(demo)[two]["targets"][0]["reply"] != "")
    assert listed(demo)[two]["targets"][0]["attempts"] == 0, "the host is known to be away"
    gatepost(demo, "queue", "hold", one)
    assert listed(demo)[one]["targets"][0]["state"] == "held"
    assert f"held {one}" in gatepost(demo, "status")

    far_end = FarEnd()
    with taking(far_end, demo.facts["smarthost"]["sink_port"]):
        gatepost(demo, "queue", "flush")
        eventually(lambda: two not in listed(demo))
        assert far_end.taken == ["two@elsewhere.example"]
        assert one in listed(demo), "held"
        assert "1 targets released" in gatepost(demo, "queue", "release", one)
        eventually(lambda: one not in listed(demo))
        assert far_end.taken == ["two@elsewhere.example", "one@elsewhere.example"]
    assert "the queue is empty" in gatepost(demo, "queue", "list")


def test_a_dropped_message_is_gone_and_its_story_says_who(alone: RunningDemo) -> None:
    demo = alone
    one = send(demo, "drop@elsewhere.example")
    eventually(lambda: listed(demo)[one]["targets"][0]["reply"] != "")
    assert "dropped" in gatepost(demo, "queue", "drop", one, "--yes")
    assert listed(demo) == {}
    events = json.loads(gatepost(demo, "trace", one, "--json"))[0]["events"]
    assert events[-1]["event"] == "drop" and events[-1]["by"] == f"uid {os.getuid()}"


def test_mistakes(alone: RunningDemo) -> None:
    demo = alone
    for verb in ("show", "hold", "retry", "explain"):
        gatepost(demo, "queue", verb, "nothing", code=1)
    gatepost(demo, "queue", "drop", "nothing", "--yes", code=1)
    gatepost(demo, "queue", "drop", "nothing", code=2)  # no terminal, no --yes
    gatepost(demo, "queue", "release", code=2)
    gatepost(demo, "queue", "release", "x", "--all", code=2)
    gatepost(demo, "queue", "hold", code=2)
    gatepost(demo, "queue", "show", "../../demo.json", code=1)
