"""Log lines: one event a line, logfmt, to standard error or journald."""

from __future__ import annotations

import logging
import re
import sys

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


def start(process: str, level: int = logging.INFO) -> None:
    """Send log lines of this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s {process}[%(process)d] %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's own lines; ours are written by maillog
