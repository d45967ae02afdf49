"""gatepost's verbs in this process: an interpreter a verb would cost a test a minute."""

from __future__ import annotations

import os
from typing import NamedTuple

from click.testing import CliRunner, Result
from conftest import RunningDemo

from gateway.cli import group
from gateway.cli.problems import explain


class Said(NamedTuple):
    """What came of a verb, named as subprocess names it."""

    returncode: int
    stdout: str
    stderr: str


def _result(words: tuple[str, ...], given: str) -> Result:
    mask = os.umask(0o022)  # a verb that opens stores has the service's own, and would leave it to other tests
    try:
        return CliRunner().invoke(group, words, input=given)
    finally:
        os.umask(mask)


def answer(*words: str, given: str = "") -> Said:
    """Exit code and what a verb prints, as the command itself would."""
    result = _result(words, given)
    if isinstance(result.exception, Exception):
        text, code = explain(result.exception)
        return Said(code, result.stdout, f"{result.stderr}gatepost: {text}\n")
    return Said(result.exit_code, result.stdout, result.stderr)


def run(demo: RunningDemo, *words: str, given: str = "") -> tuple[int, str]:
    """Exit code and all that a verb of a running service prints, or why it fails."""
    result = _result((*words, "--config", demo.facts["config_file"]), given)
    if isinstance(result.exception, Exception):
        text, code = explain(result.exception)
        return code, text
    return result.exit_code, result.output
