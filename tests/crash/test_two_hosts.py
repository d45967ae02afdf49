"""Two hosts, one store: one with the index, one that only delivers and is killed. Nothing is lost or shown twice.

Short here; with GATEPOST_LONG_TESTS set 2,000 messages.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from conftest import RunningDemo
from delivery_host import DeliveryHost
from senders import Senders, check, readers

LONG = bool(os.environ.get("GATEPOST_LONG_TESTS"))
MESSAGES = 2_000 if LONG else 200
KILLS = 3


@pytest.mark.timeout(240 if not LONG else 1_000)
def test_two_hosts_on_one_store(tmp_path: Path) -> None:
    demo = RunningDemo(tmp_path / "demo")
    people = readers(demo)
    senders = Senders([person["addresses"][0] for person in people])
    other = DeliveryHost(demo, tmp_path / "other")
    try:
        senders.hosts = [("127.0.0.1", demo.port("mx")), ("127.0.0.1", other.port)]
        threads = senders.send(range(MESSAGES))
        kills = KILLS
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.005)
            if kills and len(senders.accepted) >= MESSAGES // (KILLS + 1) * (KILLS - kills + 1):
                kills -= 1
                other.kill()
                time.sleep(random.Random(kills).random() / 2)
                other.start()
        assert senders.given_up == []
        assert kills == 0
        maildirs = [Path(person["maildir"]) for person in people]
        waiting = sum(len(os.listdir(maildir / "new")) for maildir in maildirs)
        assert waiting, "the host without an index delivered nothing"
        seen: dict[str, dict[int, bytes]] = {person["login"]: {} for person in people}
        check(("127.0.0.1", demo.port("imap")), people, senders, seen)
        assert sum(len(os.listdir(maildir / "new")) for maildir in maildirs) == 0
        # what the first host indexed stays as it is when the other's is taken in
        check(("127.0.0.1", demo.port("imap")), people, senders, seen)
        print(f"{len(senders.accepted)} accepted, {sum(senders.attempts.values())} attempts, {waiting} without index")
    finally:
        other.stop()
        demo.stop()
