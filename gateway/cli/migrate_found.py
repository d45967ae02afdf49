"""What there is of Sendmail, or of Postfix in its place, on a host: daemons, queues, programs, what starts it at boot.

Only looks. Everything is found below `root`; a daemon is known by its pid file, and counts only while a process of that
number runs under a name that fits, for numbers are given again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.cli.setup_links import KEPT, links, set_id_files

Kind = Literal["sendmail", "postfix"]
#: where Debian, its ancestors and other systems let them be written
PID_FILES: dict[Kind, tuple[str, ...]] = {
    "sendmail": ("run/sendmail/mta/sendmail.pid", "run/sendmail.pid", "var/run/sendmail/mta/sendmail.pid",
                 "var/run/sendmail.pid", "etc/mail/sendmail.pid", "etc/sendmail.pid"),
    "postfix": ("var/spool/postfix/pid/master.pid",),
}  # fmt: skip
#: names of the programs; Sendmail writes "sendmail: MTA: accepting connections" in place of its command line
NAMES: dict[Kind, tuple[str, ...]] = {"sendmail": ("sendmail", "sendmail-mta"), "postfix": ("master",)}
#: Sendmail's queues, with the ones of its submission program
QUEUES = ("var/spool/mqueue", "var/spool/mqueue-client", "var/spool/clientmqueue")
#: Postfix's queues; mail on hold does not leave by itself
POSTFIX_QUEUES, POSTFIX_HOLD = ("maildrop", "incoming", "active", "deferred"), "hold"
#: what starts them at boot, and the words that end it
BOOT = (
    ("etc/systemd/system/multi-user.target.wants/{kind}.service", "systemctl disable {kind}"),
    ("etc/rc2.d/S??{kind}", "update-rc.d {kind} disable"),
)
#: names under which the old program may be kept, the likeliest first
BINARIES = (f"usr/sbin/sendmail{KEPT}", "usr/lib/sm.bin/sendmail", "usr/sbin/sendmail", "usr/lib/sendmail")
MAX_FILES = 1_000_000  # a queue with more is not counted on


@dataclass(frozen=True, slots=True)
class Daemon:
    """A process that takes or sends mail."""

    kind: Kind
    pid: int
    command: str


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue folder: messages that wait, and those that need somebody's hand (given up on, quarantined, on hold)."""

    kind: Kind
    path: str
    waiting: int
    stuck: int


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that is left of the old mail system."""

    daemons: tuple[Daemon, ...]
    queues: tuple[Queue, ...]
    #: the old program, "" when there is none any more
    binary: str
    #: orders that keep it from starting again
    boot: tuple[str, ...]
    #: programs that run as somebody else than who calls them
    set_id: tuple[str, ...]
    #: what `gatepost setup --links` would do
    links: tuple[str, ...]

    @property
    def waiting(self) -> int:
        """Messages that would be lost from sight."""
        return sum(queue.waiting for queue in self.queues)

    @property
    def is_drained(self) -> bool:
        """No daemon runs, nothing waits."""
        return not self.daemons and not self.waiting

    @property
    def is_gone(self) -> bool:
        """Nothing is left to do."""
        return self.is_drained and not (self.boot or self.set_id or self.links)


def look(root: Path, program: Path) -> Found:
    """Raises OSError where a folder may not be read."""
    return Found(
        tuple(daemons(root)),
        tuple(queues(root)),
        str(binary(root, program) or ""),
        tuple(_boot(root)),
        tuple(map(str, set_id_files(root))),
        tuple(step.text for step in links(root, program)),
    )


def command_of(pid: int) -> str:
    """Name and command line of a running process, "" when it is gone or a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""
    name, _, rest = status.partition("(")[2].rpartition(")")
    return "" if rest.split()[0] in "ZX" else words.strip() or name


def is_of(kind: Kind, command: str) -> bool:
    """Whether a command line is that of such a program; a script has its interpreter before it."""
    return any(os.path.basename(word.rstrip(":")) in NAMES[kind] for word in command.split()[:2])


def daemons(root: Path) -> Iterator[Daemon]:
    """Those that run."""
    seen: set[int] = set()
    for kind, files in PID_FILES.items():
        for name in files:
            try:
                first = (root / name).read_text(encoding="ascii", errors="replace").split()
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not first or not first[0].isdigit() or int(first[0]) in seen:
                continue
            command = command_of(int(first[0]))
            if is_of(kind, command):
                seen.add(int(first[0]))
                yield Daemon(kind, int(first[0]), command)


def queues(root: Path) -> Iterator[Queue]:
    """Every queue folder that is there."""
    for name in QUEUES:
        if (root / name).is_dir():
            files = _names(root / name)
            # sm-mta's qf is a message that waits, Qf one it could not read, hf one in quarantine (op.me, 2.3)
            waiting = sum(each.startswith("qf") for each in files)
            yield Queue("sendmail", str(root / name), waiting, sum(each[:2] in ("Qf", "hf") for each in files))
    postfix = root / "var/spool/postfix"
    if (postfix / "active").is_dir():
        waiting = sum(len(_names(postfix / name)) for name in POSTFIX_QUEUES)
        yield Queue("postfix", str(postfix), waiting, len(_names(postfix / POSTFIX_HOLD)))


def _names(folder: Path) -> list[str]:
    """Names of the files below a folder. Raises OSError when it may not be read."""

    def stop(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):  # queues come and go
            raise error

    found: list[str] = []
    for _, _, files in os.walk(folder, onerror=stop):
        found += files
        if len(found) > MAX_FILES:
            break
    return found


def binary(root: Path, program: Path) -> Path | None:
    """The old sendmail program, wherever it was moved to; never ours."""
    for name in BINARIES:
        path = root / name
        if path.is_file() and os.path.realpath(path) != os.path.realpath(program) and os.access(path, os.X_OK):
            return path
    return None


def _boot(root: Path) -> Iterator[str]:
    for kind in PID_FILES:
        for pattern, order in BOOT:
            if any(root.glob(pattern.format(kind=kind))):
                yield order.format(kind=kind)
