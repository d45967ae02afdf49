"""Reads the YAML file; every error says `file:line: path: what is wrong`."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from gateway.config.settings import Settings

SERVICES = ("mx", "submission", "submissions", "lmtp", "imap", "imaps")
TLS_KINDS = ("none", "starttls", "implicit")


class ConfigurationError(Exception):
    """The file cannot be used; the message is for the administrator."""


def _line(node: yaml.Node | None, path: list[str]) -> int:
    """The line on which the value at `path` stands, as far as the path exists."""
    line = node.start_mark.line + 1 if node is not None else 1
    for step in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == step:
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
            node = node.value[int(step)]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _steps(path: str) -> list[str]:
    return [step for step in re.split(r"[.\[\]]+", path.removeprefix("$")) if step and step != "..."]


def load(path: Path) -> Settings:
    """The configuration in `path`. Raises ConfigurationError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        data: Any = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigurationError(f"{path}:{mark.line + 1 if mark else 1}: {error.problem}") from error
    try:
        settings = msgspec.convert(data if data is not None else {}, Settings)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `")
        steps = _steps(where.rstrip("`"))
        shown = ".".join(steps)
        raise ConfigurationError(f"{path}:{_line(node, steps)}: {shown + ': ' if shown else ''}{message}") from error
    problem = _meaning(settings)
    if problem is not None:
        steps, message = problem
        raise ConfigurationError(f"{path}:{_line(node, steps)}: {'.'.join(steps)}: {message}")
    return settings


def _meaning(settings: Settings) -> tuple[list[str], str] | None:
    """The first value that is well formed and still cannot work, with its path; None when there is none."""
    taken: dict[tuple[str, int], str] = {}
    for service, listeners in settings.listen.items():
        for number, listener in enumerate(listeners):
            steps = ["listen", service, str(number)]
            if service not in SERVICES:
                return ["listen", service], f"{service!r} is not one of {', '.join(SERVICES)}"
            if listener.tls not in TLS_KINDS:
                return [*steps, "tls"], f"{listener.tls!r} is not one of {', '.join(TLS_KINDS)}"
            if listener.tls == "implicit" and not (settings.tls.cert and settings.tls.key):
                return [*steps, "tls"], "implicit needs tls.cert and tls.key"
            if not 1 <= listener.port <= 65535:
                return [*steps, "port"], f"{listener.port} is not a port, 1 to 65535 are"
            place = (listener.address, listener.port)
            if place in taken:
                return [*steps, "port"], f"{listener.address}:{listener.port} is also the port of {taken[place]}"
            taken[place] = service
    for key, name in (("cert", settings.tls.cert), ("key", settings.tls.key)):
        if name and not os.access(name, os.R_OK):
            return ["tls", key], f"{name} cannot be read"
    return None
