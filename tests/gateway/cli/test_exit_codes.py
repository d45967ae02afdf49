"""How verbs fail: one line, the right exit code, no traceback."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from directory.model import Condition, Deferred, Refused
from gateway.cli import VERBS, group, main
from gateway.cli.problems import explain, run
from gateway.control.client import ControlError
from gateway.observe.log import LineHandler

GOOD = """state_dir: {dir}/state
run_dir: {dir}/run
directory: {{servers: ["ldap://127.0.0.1:1"], base: "o=x", bind: {{dn: "cn=x", password_file: {dir}/password}}}}
store: {{volumes: {{main: {{path: {dir}}}}}}}
"""


class Said(NamedTuple):
    """What came of a command, named as subprocess names it."""

    returncode: int
    stdout: str
    stderr: str


def gatepost(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "gateway", *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Said]]:
    """The command in this process, for what is asked of every verb: an interpreter each would take minutes."""

    def call(*arguments: str) -> Said:
        monkeypatch.setattr("sys.argv", ["gatepost", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert isinstance(end.value.code, int)
        return Said(end.value.code, *capfd.readouterr())

    mask = os.umask(0o022)  # a verb that opens stores has the service's own
    os.umask(mask)
    root = logging.getLogger()
    level = root.level
    for name in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing"):
        monkeypatch.setattr(logging, name, getattr(logging, name))
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        yield call
    os.umask(mask)
    root.setLevel(level)
    for handler in root.handlers[:]:
        if isinstance(handler, LineHandler):  # `serve` began to log to what ends with this test
            root.removeHandler(handler)


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    path = tmp_path / "gatepost.yaml"
    path.write_text(GOOD.format(dir=tmp_path))
    return str(path)


def verbs_with(option: str) -> list[tuple[str, ...]]:
    """Every verb, and verb below a verb, that has the option."""
    found: list[tuple[str, ...]] = []

    def look(command: click.Command, words: tuple[str, ...]) -> None:
        if isinstance(command, click.Group):
            for name in command.list_commands(click.Context(command)):
                inner = command.get_command(click.Context(command), name)
                assert inner is not None
                look(inner, (*words, name))
        elif any(option in parameter.opts for parameter in command.params):
            found.append(words)

    look(group, ())
    return found


def arguments_of(words: tuple[str, ...]) -> list[str]:
    """Something for each argument that the verb needs."""
    command: click.Command = group
    for word in words:
        assert isinstance(command, click.Group)
        inner = command.get_command(click.Context(command), word)
        assert inner is not None
        command = inner
    needed: list[str] = []
    for parameter in command.params:
        if parameter.required:
            value = parameter.type.choices[0] if isinstance(parameter.type, click.Choice) else "x"
            value = "1" if isinstance(parameter.type, click.types.IntParamType) else value
            value = "-" if isinstance(parameter.type, click.File) else value
            needed += [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], str(value)]
    return needed


#: verbs that stand in for another system's program keep its codes
OWN_CODES = {"sendmail": {2: 64, 3: 78}, "inject": {3: 111}, "checkpassword": {3: 111}}


@pytest.mark.parametrize("words", verbs_with("--config"), ids=" ".join)
def test_a_broken_configuration_is_3_for_every_verb(
    tmp_path: Path, words: tuple[str, ...], here: Callable[..., Said]
) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("wokers: 3\n")
    done = here(*words, "--config", str(path), *arguments_of(words))
    assert done.returncode == OWN_CODES.get(words[0], {}).get(3, 3), done.stderr
    assert f"{path}:1: wokers: there is no such key; did you mean workers?" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_wrong_option_is_2_for_every_verb(verb: str, here: Callable[..., Said]) -> None:
    done = here(verb, "--no-such-option")
    assert done.returncode == OWN_CODES.get(verb, {}).get(2, 2)
    assert "--no-such-option" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    # an interpreter each: a verb imports what it needs itself
    done = gatepost(verb, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 3


def test_unknown_verbs_are_2() -> None:
    assert gatepost("no-such-verb").returncode == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("ps",), 1, "the service does not run"),
        (("status",), 1, ""),
        (("reload",), 4, "run: the service does not run"),
        (("directory", "accept-deletions"), 4, "is the service running?"),
        (("serve",), 3, ""),
    ],
)
def test_a_service_that_does_not_run(configuration: str, words: tuple[str, ...], code: int, said: str) -> None:
    if words == ("serve",):  # a second service of one folder
        text = Path(configuration).read_text()
        Path(configuration).write_text(text + "listen: {mx: [{port: 1, address: 192.0.2.1}]}\n")
        said = "mx: 192.0.2.1:1: Cannot assign requested address"
    done = gatepost(*words, "--config", configuration)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_check_tells_what_is_wrong_for_people_and_machines(configuration: str, tmp_path: Path) -> None:
    done = gatepost("check", "--config", configuration)
    assert done.returncode == 3
    assert f"{configuration}:3: directory.bind.password_file: {tmp_path}/password cannot be read" in done.stderr
    done = gatepost("check", "--json", "--config", configuration)
    assert done.returncode == 3
    facts = json.loads(done.stdout)
    assert facts["ok"] is False
    assert {"file", "line", "path", "message", "is_warning"} == set(facts["problems"][0])
    done = gatepost("check", "--no-host", "--config", configuration)
    assert (done.returncode, done.stdout) == (0, f"{configuration}: ok\n")


def test_check_shows_what_differs_from_another_configuration(configuration: str, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(Path(configuration).read_text() + "workers: 5\nsmtp: {max_message_size: 10M}\n")
    done = gatepost("check", "--no-host", "--config", configuration, "--against", str(other))
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == ["smtp.max_message_size: 10485760 -> 52428800", "workers: 5 -> 2"]


def test_check_shows_what_another_installation_reads_from_the_same_file(configuration: str, tmp_path: Path) -> None:
    old = tmp_path / "old"
    (old / "bin").mkdir(parents=True)
    program = old / "bin" / "gatepost"
    program.write_text('#!/bin/sh\necho \'{"values": {"workers": 9, "gone": 1}}\'\n')
    program.chmod(0o755)
    done = gatepost("check", "--no-host", "--config", configuration, "--against", str(old))
    assert done.returncode == 0, done.stderr
    assert "gone: 1 -> null" in done.stdout.splitlines()
    assert "workers: 9 -> 2" in done.stdout.splitlines()
    program.write_text(f'#!/bin/sh\ncd {Path.cwd()} && exec {sys.executable} -m gateway "$@"\n')
    done = gatepost("check", "--no-host", "--config", configuration, "--against", str(old))
    assert done.stdout == f"{configuration}: ok\n", "the same version reads the same"
    program.write_text("#!/bin/sh\nexit 1\n")
    assert gatepost("check", "--no-host", "--config", configuration, "--against", str(old)).returncode == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ControlError("no", 5), 5),
        (Deferred(Condition.DIRECTORY_UNAVAILABLE, "down"), 4),
        (Refused(Condition.MAILBOX_FULL, "full"), 1),
        (PermissionError(13, "Permission denied", "/x"), 5),
        (OSError(28, "No space left on device", "/x"), 4),
        (KeyError("x"), 70),
    ],
)
def test_each_kind_of_error_has_its_code_and_one_line(error: Exception, code: int) -> None:
    text, found = explain(_raised(error))
    assert found == code
    assert text
    assert "\n" not in text


def _raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_a_bug_is_70_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    @click.group()
    def broken() -> None:
        """A command line whose verb fails."""

    @broken.command()
    def verb() -> None:
        raise KeyError("x")

    before, sys.argv = sys.argv, ["gatepost", "verb"]
    try:
        assert run(broken) == 70
    finally:
        sys.argv = before
    said = capsys.readouterr().err
    assert said.startswith("gatepost: bug: KeyError: 'x' (test_exit_codes.py:")
    assert said.count("\n") == 1
