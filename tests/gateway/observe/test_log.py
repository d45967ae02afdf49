"""Log lines for people, and for journald."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import logging
from gateway.observe import log
log.start("worker-0")
logging.getLogger("x").info("%s", log.fields(event="serving", who='a "b"\\nc'))
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("x").exception("event=bug")
"""


def said(environment: dict[str, str], journal: bool) -> list[str]:
    reading, writing = os.pipe()
    facts = os.fstat(writing)
    if journal:
        environment = {**environment, "JOURNAL_STREAM": f"{facts.st_dev}:{facts.st_ino}"}
    subprocess.run([sys.executable, "-c", PROGRAM], stderr=writing, env={**os.environ, **environment}, timeout=30)
    os.close(writing)
    with os.fdopen(reading) as file:
        return file.read().splitlines()


def test_lines_have_time_level_and_process() -> None:
    first = said({"JOURNAL_STREAM": "1:2"}, journal=False)[0]
    assert first.endswith(r'event=serving who="a \"b\"\nc"')
    assert " INFO worker-0[" in first


def test_journald_gets_priorities_instead_on_every_line() -> None:
    first, *others = said({}, journal=True)
    assert first == r'<6>worker-0 event=serving who="a \"b\"\nc"'
    assert len(others) > 2
    assert all(line.startswith("<3>") for line in others)
