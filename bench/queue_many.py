"""Many messages in the queue for a host that does not answer: seconds to take them up, seconds to start with them, memory.

Run from the root of the sources: `python -m bench.queue_many [MESSAGES [PORT-OFFSET]]` (100,000; 7300). Makes a demo of its
own below a temporary folder, puts queue files there as a crash would leave them, and starts the queue's process anew:
once without a row in queue.db, once with all. Memory is the proportional set size (PSS) of Gatepost's processes
without slapd. Exit code 1 where more than BUDGET_MIB are used, or a new message has to wait behind the old ones.
"""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import yaml

from gateway.queue.file import MAGIC, MESSAGES, VERSION, QueuedEnvelope, Target

BUDGET_MIB = 200.0
START_SECONDS = 10.0
LIMIT_SECONDS = 300.0
BODY = b"Subject: waits\n\n" + b"x" * 70 + b"\n"


def until(what: Callable[[], object], said: str) -> float:
    """Seconds until it is so."""
    began = time.monotonic()
    while not what():
        if time.monotonic() - began > LIMIT_SECONDS:
            raise SystemExit(f"{said}: not within {LIMIT_SECONDS:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began


def fill(folder: Path, number: int) -> None:
    """Queue files for a host that does not answer, as they lie there behind a crash."""
    arrival = time.time()
    for n in range(number):
        name = f"{int(arrival)}.M{n:06d}P1_0_{n}.bench"
        target = Target(f"somebody{n}@away.example")
        envelope = QueuedEnvelope(name, "ann@example.com", arrival, (target,), len(BODY), len(BODY) + BODY.count(b"\n"))
        block = msgspec.json.encode(envelope)
        (folder / name).write_bytes(b"%s %d %d\n%s\n%s" % (MAGIC, VERSION, len(block), block, BODY))


def rows(database: Path) -> int:
    """How many targets queue.db knows."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as db:
        found: int = db.execute("SELECT count(*) FROM target").fetchone()[0]
    return found


def parts(pids: dict[str, int], master: int) -> dict[str, float]:
    """PSS of each process in MiB."""
    found = {}
    for name, pid in {"master": master, **children(master)}.items():
        match = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
        if pid not in (pids["slapd"], pids["sink"]) and match is not None:
            found[name] = int(match[1]) / 1024
    return found


def children(master: int) -> dict[str, int]:
    """The master's processes by name and number."""
    found = {}
    for pid in Path(f"/proc/{master}/task/{master}/children").read_text().split():
        found[f"{Path(f'/proc/{pid}/comm').read_text().strip()}-{pid}"] = int(pid)
    return found


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(number: int, offset: int) -> int:
    with tempfile.TemporaryDirectory(prefix="gatepost-queue-") as name:
        folder = Path(name)
        gatepost = [sys.executable, "-m", "gateway"]
        demo = [*gatepost, "demo", "--dir", name, "--port-offset", str(offset), "--no-web"]
        subprocess.run([*demo, "--detach"], check=True, stdout=subprocess.DEVNULL)
        try:
            return measure(folder, number)
        finally:
            subprocess.run([*gatepost, "stop", "--dir", name], check=False, stdout=subprocess.DEVNULL)


def measure(folder: Path, number: int) -> int:
    facts = json.loads((folder / "demo.json").read_text())
    master, state = facts["pids"]["master"], Path(facts["state_dir"])
    config = Path(facts["config_file"])
    settings = yaml.safe_load(config.read_text())
    settings["relay"]["routes"] = {"away.example": "127.0.0.1:9"}  # discard: nobody listens
    settings["queue"] = {"max_messages": 2 * number, "min_free_bytes": 0}
    config.write_text(yaml.safe_dump(settings))

    def restart(*, reload: bool = False) -> None:
        before = locked(state)
        os.kill(master if reload else before, signal.SIGHUP if reload else signal.SIGKILL)
        until(lambda: locked(state) not in (0, before), "a new queue runner")

    def sent() -> float:
        """Seconds until a new message for another host is there."""
        sink = Path(facts["smarthost"]["sink_dir"])
        before = len(list(sink.rglob("*")))
        account = next(each for each in facts["accounts"] if each["kind"] == "person")
        with smtplib.SMTP(facts["host"], facts["ports"]["submission"]) as client:
            client.starttls()
            client.login(account["login"], account["password"])
            own = account["addresses"][0]
            client.sendmail(own, ["new@elsewhere.example"], f"From: {own}\r\nSubject: new\r\n\r\nx\r\n")
        return until(lambda: len(list(sink.rglob("*"))) > before, "a new message")

    messages, prepared = state / "queue" / MESSAGES, state / "queue" / "prepared"
    prepared.mkdir(mode=0o700)
    fill(prepared, number)
    before = set(children(master).values())
    restart(reload=True)
    until(lambda: len(before & set(children(master).values())) <= 2, "new workers")  # slapd and the sink stay
    sizes = {"empty": parts(facts["pids"], master)}
    messages.rename(state / "queue" / "before")
    prepared.rename(messages)
    slow = 0.0
    for case in ("without rows", "with rows"):
        began = time.monotonic()
        restart()
        first = sent()
        until(lambda: rows(state / "queue.db") >= number, "rows for all")
        print(f"{case}: {time.monotonic() - began:.1f} s until queue.db knows {number} messages;"
              f" a new message was delivered within {first:.1f} s", flush=True)  # fmt: skip
        slow = max(slow, first)
        time.sleep(5)
        sizes[case] = parts(facts["pids"], master)
    used = cpu(locked(state))
    time.sleep(20)
    print(f"CPU of the queue's process in 20 s soon after the start: {cpu(locked(state)) - used:.1f} s")
    for case, found in sizes.items():
        print(f"{case}: {sum(found.values()):.0f} MiB in all, " + ", ".join(f"{size:.0f}" for size in found.values()))
    return int(max(sum(found.values()) for found in sizes.values()) > BUDGET_MIB or slow > START_SECONDS)


def locked(state: Path) -> int:
    """The process that holds queue.lock, 0 without one."""
    inode = (state / "queue.lock").stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        words = line.split()
        if words[1] == "FLOCK" and words[5].endswith(f":{inode}"):
            return int(words[4])
    return 0


if __name__ == "__main__":
    sys.exit(main(int((sys.argv[1:2] or ["100000"])[0]), int((sys.argv[2:3] or ["7300"])[0])))
