"""Children that are forked for one thing each and may be killed by strace on the way; both sides of the talk.

A script ends with `serve(child)`. For each line of words a child is forked that prepares itself and says `ready`
(`begin`); at the next line it acts and says `done`; then `ended` is printed, with its exit code. Nothing is opened
before a fork, and no interpreter is started for it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path


def begin() -> None:
    """In the child: it is prepared, and goes on when it is told to."""
    print("ready", os.getpid(), flush=True)
    sys.stdin.readline()


def serve(child: Callable[..., None]) -> None:
    """`child` gets the words of a line; what it acted is done when it returns."""
    while line := sys.stdin.readline().split():
        pid = os.fork()
        if pid == 0:
            try:
                child(*line)
                os.write(1, b"done\n")  # in one piece, since a write may be the last thing it does
            except BaseException as error:
                print("failed", repr(error), flush=True)
                os._exit(1)
            os._exit(0)
        print("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


class Children:
    """The process that forks them, seen from a test."""

    def __init__(self, script: str, *imported: Path) -> None:
        path = os.pathsep.join([os.getcwd(), *map(str, imported)])
        self._process = subprocess.Popen(
            [sys.executable, script],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
        )  # fmt: skip

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _hear(self) -> list[str]:
        assert self._process.stdout is not None
        return self._process.stdout.readline().split()

    def _act(self, words: Sequence[object], strace: Sequence[str] = ()) -> tuple[str, bool]:
        """(exit code, it said that it was done)."""
        self._say(" ".join(map(str, words)))
        heard = self._hear()
        assert heard[0] == "ready", heard
        tracer = None
        if strace:
            tracer = subprocess.Popen(["strace", *strace, "-p", heard[1]], stderr=subprocess.PIPE, text=True)
            assert tracer.stderr is not None
            assert "attached" in (line := tracer.stderr.readline()), line
        self._say("go")
        heard = self._hear()
        if was_told := heard == ["done"]:
            heard = self._hear()
        if tracer is not None:
            tracer.communicate(timeout=60)
        assert heard[:1] == ["ended"], heard
        return heard[1], was_told

    def attempt(self, call: str, number: int, *words: object) -> tuple[bool, bool]:
        """Kill a child at its `number`-th `call`: (it got through, it said so)."""
        injection = f"inject={call}:signal=KILL:when={number}"
        code, was_told = self._act(words, ["-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", injection])
        assert code in ("0", "-9")
        return code == "0", was_told

    def act(self, *words: object) -> None:
        """Let a child do all of it."""
        assert self._act(words) == ("0", True)

    def count(self, calls: Sequence[str], *words: object, told: Path) -> Counter[str]:
        """How often a child makes each of these calls; `told` is a file to be written."""
        assert self._act(words, ["-f", "-o", str(told), "-e", f"trace={','.join(calls)}"]) == ("0", True)
        return Counter(re.findall(r"^\d+ +(\w+)\(", told.read_text(), re.MULTILINE))

    def close(self) -> None:
        self._process.communicate(timeout=60)
