"""kill -9 of workers, agent and master while mail arrives on eight connections.

A message that got 250 is there, whole; one whose answer was cut off may be there as often as it was sent; no
UID ever stands for two messages. Short here; with GATEPOST_LONG_TESTS set ten rounds of 2,000 messages.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from conftest import RunningDemo
from senders import Senders, check, readers

from gateway.service import overview

LONG = bool(os.environ.get("GATEPOST_LONG_TESTS"))
ROUNDS, MESSAGES = (10, 2_000) if LONG else (1, 200)
VICTIMS = ("worker-0", "worker-1", "agent", "queue", "master")


def kill(demo: RunningDemo, name: str) -> bool:
    """Kill the process of that name; False when it was the master, with which all ends."""
    shown = overview.read(demo.folder / "run")
    if shown is None:
        return True
    pid = shown.master if name == "master" else next((c.pid for c in shown.children if c.name == name), 0)
    if pid:
        os.kill(pid, signal.SIGKILL)
    while name == "master" and overview.read(demo.folder / "run") is not None:
        time.sleep(0.01)
    return name != "master"


@pytest.mark.timeout(240 if not LONG else 3_000)
def test_nothing_is_lost(tmp_path: Path) -> None:
    demo = RunningDemo(tmp_path / "demo")
    people = readers(demo)
    senders = Senders([person["addresses"][0] for person in people])
    seen: dict[str, dict[int, bytes]] = {person["login"]: {} for person in people}
    victims = random.Random(2)
    try:
        for number in range(ROUNDS):
            senders.hosts = [("127.0.0.1", demo.port("mx"))]
            threads = senders.send(range(number * MESSAGES, (number + 1) * MESSAGES))
            doomed = list(VICTIMS)
            victims.shuffle(doomed)
            begun, step = len(senders.accepted), MESSAGES // (len(doomed) + 1)
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.005)
                done = len(senders.accepted) - begun
                if doomed and done >= step * (len(VICTIMS) - len(doomed) + 1) and not kill(demo, doomed.pop()):
                    demo = RunningDemo(tmp_path / "demo")
                    senders.hosts = [("127.0.0.1", demo.port("mx"))]
            assert doomed == []
            for thread in threads:
                thread.join()
            assert senders.given_up == []
            check(("127.0.0.1", demo.port("imap")), people, senders, seen)
    finally:
        demo.stop()
    assert sum(senders.attempts.values()) > len(senders.accepted), "no delivery was interrupted"
    print(f"{len(senders.accepted)} accepted, {sum(senders.attempts.values())} attempts")
