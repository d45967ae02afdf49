"""Where each value of the running configuration stands: what the service was started or reloaded with, whatever the file
says meanwhile. The master notes it before it forks, so that its children know it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect

from directory.model import units
from gateway.config.settings import Settings

#: keys whose values nobody is shown; those that name a file with a secret end in _file
SECRET = re.compile(r"(^|_)(password|passphrase|secret|token|credential)s?$")
_CREDENTIALS = re.compile(r"//[^/@\s]+@")
MAX_VALUES = 5000
MAX_TEXT = 500  # characters of a value
HIDDEN = "(hidden)"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file that was read."""

    file: str
    #: line by path, as `config.reading.Reader` notes them
    lines: dict[str, int]


@dataclass(frozen=True, slots=True)
class Value:
    """One value; `line` 0 = the default."""

    path: str
    text: str
    line: int


KEPT = 4  # a configuration that was read may be refused after that; the one before is worked with on
_read: list[tuple[Settings, Loaded]] = []


def note(settings: Settings, file: str, lines: dict[str, int]) -> None:
    """A file was read."""
    _read.insert(0, (settings, Loaded(file, dict(lines))))
    del _read[KEPT:]


def of(settings: Settings) -> Loaded:
    """Where the values of these settings stand; nowhere when they were not read from a file."""
    return next((loaded for each, loaded in _read if each == settings), Loaded("", {}))


def values(settings: Settings, lines: dict[str, int]) -> list[Value]:
    """Every value, as a person writes it; secrets hidden."""
    found = []
    for path, text in _leaves(settings, inspect.type_info(Settings), ""):
        line = lines.get(path, 0)
        found.append(Value(path, _shown(path, text), line))
        if len(found) == MAX_VALUES:
            break
    return found


def _shown(path: str, text: str) -> str:
    if text and any(SECRET.search(name) for name in path.split(".")[-1:]):
        return HIDDEN
    text = _CREDENTIALS.sub(f"//{HIDDEN}@", text)
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def _leaves(value: Any, kind: inspect.Type, path: str) -> Iterator[tuple[str, str]]:
    """(path, text) of what is no section."""
    unit = ""
    if isinstance(kind, inspect.Metadata):
        unit, kind = (kind.extra or {}).get("unit", ""), kind.type
    if isinstance(value, msgspec.Struct):
        info = inspect.type_info(type(value))
        assert isinstance(info, inspect.StructType)
        for field in info.fields:
            yield from _leaves(getattr(value, field.name), field.type, f"{path}.{field.encode_name}".lstrip("."))
    elif isinstance(value, dict) and value:
        inner = kind.value_type if isinstance(kind, inspect.DictType) else inspect.AnyType()
        for name, each in value.items():
            yield from _leaves(each, inner, f"{path}.{name}")
    elif isinstance(value, tuple | list) and value and not isinstance(value[0], str | int | float):
        inner = kind.item_type if isinstance(kind, inspect.VarTupleType | inspect.ListType) else inspect.AnyType()
        for number, each in enumerate(value):
            yield from _leaves(each, inner, f"{path}.{number}")
    else:
        yield path, _text(value, unit)


def _text(value: Any, unit: str) -> str:
    if value is None or value in ({}, (), []):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if unit == "seconds" and isinstance(value, int | float):
        return units.write_seconds(value)
    if unit == "size" and isinstance(value, int):
        return units.write_size(value) if value >= 1024 else str(value)
    if isinstance(value, tuple | list | frozenset):
        return ", ".join(map(str, value))
    return str(value)
