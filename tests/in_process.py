"""gatepost's verbs in this process: an interpreter a verb would cost a test a minute."""

from __future__ import annotations

import os

from click.testing import CliRunner
from conftest import RunningDemo

from gateway.cli import group
from gateway.cli.problems import explain


def run(demo: RunningDemo, *words: str, given: str = "") -> tuple[int, str]:
    """Exit code and what the verb prints, as the command itself would."""
    mask = os.umask(0o022)  # a verb that opens stores has the service's own, and would leave it to other tests
    try:
        result = CliRunner().invoke(group, [*words, "--config", demo.facts["config_file"]], input=given)
    finally:
        os.umask(mask)
    if isinstance(result.exception, Exception):
        text, code = explain(result.exception)
        return code, text
    return result.exit_code, result.output
