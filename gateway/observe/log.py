"""Log lines: one event a line, logfmt, to standard error or journald."""

from __future__ import annotations

import logging
import os
import re
import sys

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
    handler = logging.StreamHandler(sys.stderr)
    if to_journal():
        handler.setFormatter(JournalFormatter(process))
    else:
        handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {process}[{os.getpid()}] %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's own lines; ours are written by maillog
