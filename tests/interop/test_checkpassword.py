"""checkpassword's interface: descriptor 3, exit codes, the environment of the program."""

from __future__ import annotations

import os
import smtplib
import subprocess
from pathlib import Path

import pytest
from conftest import GATEPOST, RunningDemo


def call(demo: RunningDemo, data: bytes | None, *program: str, config: str = "") -> tuple[int, str]:
    """Run it with `data` on descriptor 3, None = it is closed."""
    words = [*GATEPOST, "checkpassword", "--config", config or demo.facts["config_file"], *program]
    if data is None:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    script = f'exec "$@" 3<&{reading}'
    done = subprocess.run(
        ["/bin/bash", "-c", script, "bash", *words],
        pass_fds=(reading,),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(reading)
    return done.returncode, done.stdout


def login(name: str, password: str) -> bytes:
    return f"{name}\0{password}\0Y123456\0".encode()


def test_a_right_login_runs_the_program(demo: RunningDemo) -> None:
    jane = demo.facts["accounts"][0]
    with smtplib.SMTP("127.0.0.1", demo.port("mx"), timeout=20) as client:
        client.sendmail("me@far.example", ["jane@example.com"], "Subject: so that there is a store\n\nx\n")
    code, said = call(
        demo,
        login(jane["login"], jane["password"]),
        "/bin/sh",
        "-c",
        'echo "$USER $MAILDIR"; ls "$MAILDIR"; pwd; exit 7',
    )
    assert code == 7
    assert said.startswith(f"{jane['login']} {jane['maildir']}\n")
    assert "cur\n" in said
    assert said.rstrip().endswith(os.path.dirname(jane["maildir"]))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (login("jane", "wrong"), 1),
        (login("nobody-here", "x"), 1),
        (login("jane", ""), 1),
        (b"jane\0\xff\0Y1\0", 1),
        (b"jane\0pass", 2),
        (b"", 2),
        (b"x" * 600, 2),
        (None, 2),
    ],
)
def test_everything_else(demo: RunningDemo, data: bytes | None, code: int) -> None:
    assert call(demo, data, "/bin/echo", "ran") == (code, "")


def test_without_a_service_it_is_later(demo: RunningDemo, tmp_path: object) -> None:
    text = Path(demo.facts["config_file"]).read_text(encoding="utf-8")
    path = f"{tmp_path}/other.yaml"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(f"run_dir: {demo.folder}/run", f"run_dir: {tmp_path}/run"))
    assert call(demo, login("jane", "x"), "/bin/echo", "ran", config=path) == (111, "")
    assert call(demo, login("jane", "x"), "/bin/echo", "ran", config="/nonexistent") == (111, "")
