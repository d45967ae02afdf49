"""Control verb `service-log`: the service's newest log lines, for administrators, where this process can read them.

That is the file that standard error goes to, or journald when the service runs under systemd and its user may read the
journal. Nothing is kept for this: what is not there any more is not shown.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import threading
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from gateway.control.protocol import MAX_LINE
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.observe.log import to_journal
from gateway.service.runner_actors import Actors

UNIT = "gatepost"
MAX_READ = 8 << 20  # octets from the end of a file
MAX_JOURNAL = 20_000  # lines
JOURNAL_SECONDS = 10.0
MAX_TEXT = 4000  # characters of an entry
MAX_BEHIND = 200  # lines of a traceback
MAX_ANSWER = MAX_LINE * 3 // 4
STDERR = "/proc/self/fd/2"
#: of lines as `observe.log` writes them: time, level, process
_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (CRITICAL|ERROR|WARNING|INFO|DEBUG) (\S+?)\[\d+\] (.*)", re.DOTALL
)
_LEVELS = {"DEBUG": 0, "INFO": 1, "WARNING": 2, "ERROR": 3, "CRITICAL": 4}


class AskLog(msgspec.Struct, forbid_unknown_fields=True):
    """The newest lines, newest first, in which all words of `text` occur, of at least that `level`."""

    text: Annotated[str, msgspec.Meta(max_length=300)] = ""
    level: Literal["info", "warning", "error"] = "info"
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 200


class LogVerb:
    """The verb's function; it runs in a thread. One look at a time: it reads much."""

    def __init__(self, actors: Actors) -> None:
        self._actors = actors
        self._reading = threading.Lock()

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table."""
        return {"service-log": Verb(Right.ACT, self._log, AskLog)}

    def _log(self, caller: Caller, wanted: AskLog) -> dict[str, Any]:
        self._actors.administrator(caller, to_change=False)
        if not self._reading.acquire(timeout=JOURNAL_SECONDS):
            raise VerbError("others look at the log just now, try again", 4)
        try:
            source, text, why_not = read_log()
        finally:
            self._reading.release()
        found: list[dict[str, str]] = []
        room = MAX_ANSWER
        for line in matching(text, wanted):
            room -= len(msgspec.json.encode(line))
            if room < 0 or len(found) == wanted.limit:
                break
            found.append(line)
        return {"source": source, "lines": found, "why_not": why_not}


def read_log() -> tuple[str, str, str]:
    """Where the log is, its newest part, and why it cannot be read ("" = it can)."""
    if to_journal():
        return "journald", *_journal()
    try:
        if not stat.S_ISREG(os.fstat(2).st_mode):
            return "", "", "standard error of the service is no file; whatever started it has the log"
        name = os.readlink(STDERR)
        with open(STDERR, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - MAX_READ, 0))
            octets = file.read(MAX_READ)
    except OSError as error:
        return "", "", f"the log cannot be read by the mail user: {error.strerror}"
    return name, octets.decode("utf-8", "replace"), ""


def _journal() -> tuple[str, str]:
    """Lines of journald in the form of our own, and why there are none."""
    command = ["journalctl", "--unit", UNIT, "--lines", str(MAX_JOURNAL), "--output", "json", "--no-pager", "--quiet"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=JOURNAL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"journalctl does not answer: {error}"
    lines = []
    for row in done.stdout.splitlines():
        try:
            lines.append(from_journal(msgspec.json.decode(row, type=dict[str, Any])))
        except (msgspec.DecodeError, ValueError, TypeError):
            continue
    if lines:
        return "\n".join(lines), ""
    why = done.stderr.decode("utf-8", "replace").strip()[:MAX_TEXT]
    return "", why or "the mail user may not read the journal: add it to the group systemd-journal"


def from_journal(row: dict[str, Any]) -> str:
    """One of journald's rows (systemd.journal-fields(7)) as `observe.log` writes a line. Raises ValueError, TypeError."""
    from datetime import datetime

    at = datetime.fromtimestamp(int(row["__REALTIME_TIMESTAMP"]) / 1e6)
    priority = int(row.get("PRIORITY", 6))
    level = "ERROR" if priority <= 3 else "WARNING" if priority <= 4 else "INFO"
    process, _, text = str(row.get("MESSAGE", "")).partition(" ")
    return f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d} {level} {process}[{row.get('_PID', 0)}] {text}"


def matching(text: str, wanted: AskLog) -> Iterator[dict[str, str]]:
    """Entries, newest first; a traceback belongs to the entry before it, other lines that are no log are left out."""
    words, least = wanted.text.casefold().split(), _LEVELS[wanted.level.upper()]
    behind: list[str] = []
    for line in reversed(text.splitlines()):
        found = _LINE.match(line)
        if found is None:
            behind = [line, *behind][:MAX_BEHIND]
            continue
        at, level, process, said = found.groups()
        if behind and behind[0].startswith("Traceback"):
            said = "\n".join([said, *behind])
        behind = []
        if _LEVELS[level] >= least and all(word in f"{process} {said}".casefold() for word in words):
            yield {"at": at, "level": level.lower(), "process": process, "text": said[:MAX_TEXT]}
