"""Reads the YAML file; every error says `file:line: path: what is wrong`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from gateway.config.settings import Settings


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
        return msgspec.convert(data if data is not None else {}, Settings)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `")
        steps = _steps(where.rstrip("`"))
        shown = ".".join(steps)
        raise ConfigurationError(f"{path}:{_line(node, steps)}: {shown + ': ' if shown else ''}{message}") from error
