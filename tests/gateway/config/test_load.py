"""A broken configuration: every problem is told at once, with file, line, key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from directory.model.units import read_seconds, read_size, write_seconds, write_size
from gateway.config.load import MAX_FILE, ConfigurationError, load

CASES = sorted((Path(__file__).parents[2] / "cases" / "config").glob("*.yaml"))
GOOD = """state_dir: /tmp/state
run_dir: /tmp/run
directory: {servers: ["ldap://127.0.0.1"], base: "o=x", profile: native, bind: {dn: "cn=x", password_file: /x}}
store: {volumes: {main: {path: /tmp/mail}}}
"""


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_problem_names_file_line_key_and_what_is_allowed(path: Path) -> None:
    expected = [
        line.removeprefix("# expect ") for line in path.read_text().splitlines() if line.startswith("# expect ")
    ]
    said = problems(path)
    assert len(said) == len(expected), said
    for line, parts in zip(sorted(said), sorted(expected), strict=True):
        first, *others = parts.split(" | ")
        assert line.startswith(f"{path}:{first}"), line
        assert all(other in line for other in others), line


def test_there_are_ten_kinds_of_broken_files() -> None:
    assert len(CASES) >= 10


def test_units_and_texts_are_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.yaml"
    path.write_text(
        GOOD + "hostname: 5000\nsmtp: {max_message_size: 10M, command_timeout: 2m}\nimap: {idle_timeout: 1800}\n"
        "queue: {lifetime: 5d, retry_first: 1.5h}\n"
    )
    settings = load(path)
    assert settings.hostname == "5000"
    assert settings.smtp.max_message_size == 10 << 20
    assert settings.smtp.command_timeout == 120
    assert settings.imap.idle_timeout == 1800
    assert (settings.queue.lifetime, settings.queue.retry_first) == (5 * 86400, 5400)


@pytest.mark.parametrize("number", [0, 1, 1000, 1024, 50 << 20, 3 << 40, 1500])
def test_sizes_are_written_as_they_are_read(number: int) -> None:
    assert read_size(write_size(number)) == number


@pytest.mark.parametrize("number", [0.0, 0.25, 1.0, 90.0, 300.0, 86400.0, 5 * 86400.0])
def test_times_are_written_as_they_are_read(number: float) -> None:
    assert read_seconds(write_seconds(number)) == number


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", ":1: not UTF-8 text"),
        (b"a" * (MAX_FILE + 1), "larger than"),
        (b"[" * 20000, ":1: not YAML: nested too deeply"),
        (b"a: *nowhere", ":1: not YAML: found undefined alias"),
        (b"? [a, b]\n: 1\n", "a key must be a plain name"),
        (b"- a\n", "is a list, must be a section with keys"),
        (b"&a a: *a\n", "there is no such key"),
    ],
)
def test_bytes_that_are_no_configuration(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "gatepost.yaml"
    path.write_bytes(content)
    assert said in "\n".join(problems(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.yaml") == [f"{tmp_path}/none.yaml:1: cannot be read: No such file or directory"]
