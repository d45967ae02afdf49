"""Every line that the demo prints to try does what it says."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from conftest import GATEPOST, RunningDemo


def test_the_lines_to_try(demo: RunningDemo) -> None:
    table = subprocess.run(
        [*GATEPOST, "demo", "--dir", str(demo.folder)], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    tries = [shlex.split(line) for line in table.partition("Try:\n")[2].splitlines() if line.strip()]
    assert [words[0] for words in tries] == ["swaks", "curl", "curl", "swaks", "mbsync", "openssl"]
    for words in tries[:-1]:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        if words[0] == "curl":
            assert "Subject: Welcome to Gatepost" in done.stdout
    dialog = subprocess.run(tries[-1], input="a LOGOUT\n", capture_output=True, text=True, timeout=60)
    assert "a OK" in dialog.stdout, dialog.stderr
    mail = list(Path(demo.folder, "jane-mail", "INBOX").glob("*/*"))
    assert any("Welcome to Gatepost" in path.read_text() for path in mail if path.is_file())
