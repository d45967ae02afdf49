"""Sendmail's gentle end: its daemon stopped between two deliveries, its queue run until nothing is left.

The daemon is halted (STOP), so that it takes no new client, while its children go on; when the last of them is done it
is ended (TERM, and CONT so that it hears it). If they are not done in time it goes on as before (CONT): nothing that was
half delivered is cut off.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from gateway.cli.migrate_found import Daemon, command_of, is_of, queues

CHILDREN_SECONDS = 300.0
END_SECONDS = 30.0
#: one run of a queue; Sendmail's own time-outs for a host are minutes to an hour
RUN_SECONDS = 6 * 3600.0
PAUSE_SECONDS = 0.1
#: -qf runs the queue once, in the foreground; -Ac is the one of Sendmail's submission program
RUNS = {"mqueue": ("-qf",), "mqueue-client": ("-Ac", "-qf"), "clientmqueue": ("-Ac", "-qf")}

Say = Callable[[str], None]


def children(pid: int) -> list[int]:
    """Processes that a process started and that still run."""
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            rest = Path(f"/proc/{entry.name}/stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if rest[0] not in "ZX" and int(rest[1]) == pid:
            found.append(int(entry.name))
    return found


def stop(daemon: Daemon, say: Say, patience: float = CHILDREN_SECONDS) -> bool:
    """End Sendmail's daemon between two deliveries; False when it is still at work and goes on. Raises OSError."""
    if not is_of(daemon.kind, command_of(daemon.pid)):
        return True
    say(f"kill -STOP {daemon.pid}")
    os.kill(daemon.pid, signal.SIGSTOP)
    is_idle = False
    try:
        is_idle = _until(lambda: not children(daemon.pid), patience)
        if is_idle:
            say(f"kill -TERM {daemon.pid}")
            os.kill(daemon.pid, signal.SIGTERM)
        else:
            say(f"{len(children(daemon.pid))} deliveries of {daemon.pid} take longer than {patience:.0f} s: it goes on")
    finally:
        say(f"kill -CONT {daemon.pid}")
        with contextlib.suppress(ProcessLookupError):  # somebody else ended it
            os.kill(daemon.pid, signal.SIGCONT)
    return is_idle and _until(lambda: not command_of(daemon.pid), END_SECONDS)


def _until(what: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() >= until:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def run_queues(root: Path, binary: str, say: Say, wait: float, every: float) -> int:
    """Run the old queues until they are empty or `wait` seconds have passed; messages left. Raises OSError."""
    until = time.monotonic() + wait
    while True:
        for queue in queues(root):
            if queue.waiting:
                _run(queue.kind, Path(queue.path).name, binary, say)
        left = sum(queue.waiting for queue in queues(root))
        say(f"{left} messages wait")
        rest = until - time.monotonic()
        if not left or rest <= 0:
            return left
        time.sleep(min(every, rest))


def _run(kind: str, name: str, binary: str, say: Say) -> None:
    words = ["postqueue", "-f"] if kind == "postfix" else [binary, *RUNS[name]]
    if not words[0]:
        say(f"the old sendmail program is gone: {name} cannot be run")
        return
    say(" ".join(words))
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        say(f"{words[0]} was ended: it took longer than {RUN_SECONDS:.0f} s")
        return
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        say(f"{words[0]} ended with {done.returncode}{': ' + said[-1] if said else ''}")
