"""Reads the configuration file; ConfigurationError tells every problem as `file:line: path: what is wrong and what is allowed`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from gateway.config import places
from gateway.config.certificate import certificate_problems
from gateway.config.meaning import meaning
from gateway.config.reading import BAD, Problem, Reader, read_settings
from gateway.config.settings import Settings
from gateway.service.identity import NoSuchUser, identities

MAX_FILE = 1 << 20  # octets
#: harmless values for sections that others are compared with, while these cannot be read
STAND_INS: dict[str, Any] = {
    "state_dir": "/",
    "run_dir": "/",
    "directory": {},
    "store": {"volumes": {"main": {"path": "/"}}},
    "tls": {"cert": "/", "key": "/"},
}


class ConfigurationError(Exception):
    """The file cannot be used; `problems` are all that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def load(path: Path) -> Settings:
    """The configuration in `path`. Raises ConfigurationError."""
    settings, _ = load_with_places(path)
    return settings


def load_to_serve(path: Path) -> Settings:
    """The configuration, with a certificate and users that are there on this host. Raises ConfigurationError."""
    settings, reader = load_with_places(path)
    problems = [reader.problem(steps, message) for steps, message in certificate_problems(settings)]
    try:
        identities(settings.run_as)
    except NoSuchUser as error:
        problems.append(reader.problem(("run_as", error.key), str(error)))
    if problems:
        raise ConfigurationError(problems)
    return settings


def load_with_places(path: Path) -> tuple[Settings, Reader]:
    """The configuration, and the reader that knows the line of each value. Raises ConfigurationError."""
    try:
        octets = path.read_bytes()
        if len(octets) > MAX_FILE:
            raise ConfigurationError([Problem(str(path), 1, "", f"larger than {MAX_FILE} octets")])
        text = octets.decode("utf-8")
    except OSError as error:
        raise ConfigurationError([Problem(str(path), 1, "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([Problem(str(path), line, "", "not UTF-8 text")]) from error
    data, reader = read_settings(text, str(path), Settings)
    good = {key: value for key, value in data.items() if value is not BAD}
    if data or not reader.problems:
        # what can be judged without the broken sections is judged too: all problems are told at once
        stand_ins = {key: value for key, value in STAND_INS.items() if data.get(key) is BAD}
        settings = msgspec.convert(stand_ins | good, Settings)
        for steps, message in meaning(settings):
            if data.get(steps[0]) is not BAD:
                reader.wrong(steps, message)
    if reader.problems:
        raise ConfigurationError(sorted(reader.problems, key=lambda problem: problem.line))
    places.note(settings, str(path), reader.lines)
    return settings, reader
