"""Log lines: one event a line, logfmt, to standard error or journald."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from gateway.observe.gathered import Gathered

_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}
_PLAIN = re.compile(r"[^\s\"=]+\Z")


def fields(**values: object) -> str:
    """`key=value` pairs, quoted where needed, in the given order; None is left out."""
    parts = []
    for key, value in values.items():
        if value is None:
            continue
        text = str(value)
        if not _PLAIN.match(text):
            text = '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'
        parts.append(f"{key}={text}")
    return " ".join(parts)


class JournalFormatter(logging.Formatter):
    """For journald, which knows time and process: the priority in front (sd-daemon(3)), on each line of a traceback."""

    def __init__(self, process: str) -> None:
        super().__init__(f"{process} %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        mark = f"<{_PRIORITIES.get(record.levelno, 6)}>"
        return "\n".join(mark + line for line in super().format(record).splitlines())


class LineHandler(logging.Handler):
    """Each record goes to a file descriptor in one write: threads need not wait for each other's."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self.gathered = Gathered(self._write, threading.get_ident)

    def createLock(self) -> None:  # noqa: N802
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        data = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        self.gathered.put(data, now=record.levelno >= logging.WARNING)

    def _write(self, data: bytes) -> None:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            pass  # nobody reads any more, and nobody could be told


def gather(soon: Callable[[Callable[[], None]], object]) -> None:
    """Lines of this thread below a warning wait until `soon` (a loop's `call_soon`) calls what it is given."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LineHandler):
            handler.gathered.begin(soon)


@contextmanager
def together() -> Iterator[None]:
    """Lines of this thread inside the block are written together, behind it; a warning with all before it at once."""
    with ExitStack() as stack:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, LineHandler):
                stack.enter_context(handler.gathered.together())
        yield


def to_journal() -> bool:
    """True when standard error is journald's (JOURNAL_STREAM in systemd.exec(5))."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        facts = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return (device, inode) == (str(facts.st_dev), str(facts.st_ino))


def start(process: str, level: int = logging.INFO) -> None:
    """Send log lines of this process to standard error. Call it in the process, behind fork."""
    # what no line shows is not looked up either: it is a third of the cost of a record
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = LineHandler(sys.stderr.fileno())
    if to_journal():
        handler.setFormatter(JournalFormatter(process))
    else:
        handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {process}[{os.getpid()}] %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's own lines; ours are written by maillog
