"""Reads a YAML node as a settings class: every problem is collected with its line, not only the first.

A text field takes what is written (`no`, `5000` and `1.10` stay text), fields with a unit take it. What is
allowed comes from the type: names of keys, values of a Literal, bounds, units.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import msgspec
import yaml
from msgspec import inspect

from directory.model import units

MAX_VALUES = 100_000  # a few lines of aliases can stand for more than a machine holds
MAX_NAMES = 14  # more allowed names than this are not all listed, only the nearest
#: stands for a value that cannot be used; a problem says why
BAD: Any = object()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, for the administrator."""

    file: str
    line: int
    #: keys and list positions joined by dots; "" = the file as a whole
    path: str
    message: str
    #: it works, but is hardly meant so
    is_warning: bool = False

    def __str__(self) -> str:
        word = "warning: " if self.is_warning else ""
        return f"{self.file}:{self.line}: {word}{self.path + ': ' if self.path else ''}{self.message}"


def nearest(name: str, known: list[str]) -> str:
    """What is allowed instead of `name`, as a half-sentence."""
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    said = f"did you mean {close[0]}? " if close else ""
    if len(known) <= MAX_NAMES or not close:
        said += f"allowed: {', '.join(known)}"
    return said.strip()


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a section with keys"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "empty" if node.tag.endswith(":null") else repr(node.value)


class Reader:
    """Reads one file; `problems` fills while it reads, `lines` knows where each value stands."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[Problem] = []
        self.lines: dict[str, int] = {}
        self._values = 0

    def wrong(self, path: tuple[str, ...], message: str, line: int = 0) -> Any:
        """Note a problem of the value at `path`; returns BAD."""
        self.problems.append(self.problem(path, message, line))
        return BAD

    def problem(self, path: tuple[str, ...], message: str, line: int = 0, *, is_warning: bool = False) -> Problem:
        """A problem with its place: the line of the value, or of the nearest section around it."""
        steps = path
        while not line and steps:
            line = self.lines.get(".".join(steps), 0)
            steps = steps[:-1]
        return Problem(self._file, line or 1, ".".join(path), message, is_warning)

    def read(self, node: yaml.Node, kind: inspect.Type, path: tuple[str, ...] = ()) -> Any:
        """The value of `node` as builtin data that msgspec converts to `kind`, or BAD."""
        self.lines.setdefault(".".join(path), _line(node))
        unit = ""
        if isinstance(kind, inspect.Metadata):
            unit, kind = (kind.extra or {}).get("unit", ""), kind.type
        if isinstance(kind, inspect.UnionType):
            others = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
            if len(others) < len(kind.types) and node.tag.endswith(":null"):
                return None
            sections = [each for each in others if isinstance(each, inspect.StructType)]
            if sections and isinstance(node, yaml.MappingNode):
                return self.read(node, sections[0], path)
            return self.read(node, others[0], path)
        if isinstance(kind, inspect.AnyType):
            return self._anything(node, path)
        if isinstance(kind, inspect.StructType):
            before = len(self.problems)
            data = self.section(node, kind, path)
            return BAD if len(self.problems) > before else data
        if isinstance(kind, inspect.DictType):
            return self._dict(node, kind, path)
        if isinstance(kind, inspect.VarTupleType | inspect.ListType):
            if not isinstance(node, yaml.SequenceNode):
                return self.wrong(path, f"is {_kind(node)}, must be a list", _line(node))
            items = []
            for number, item in enumerate(node.value):
                self.lines[".".join((*path, str(number)))] = _line(item)
                items.append(self.read(item, kind.item_type, (*path, str(number))))
            return BAD if any(item is BAD for item in items) else items
        return self._scalar(node, kind, unit, path)

    def _pairs(self, node: yaml.Node, path: tuple[str, ...]) -> list[tuple[str, yaml.Node]] | None:
        """Keys and values of a mapping; None with a problem when it is none."""
        if not isinstance(node, yaml.MappingNode):
            if node.tag.endswith(":null"):
                return []
            self.wrong(path, f"is {_kind(node)}, must be a section with keys", _line(node))
            return None
        seen: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag.endswith(":merge"):
                self.wrong(path, "a key must be a plain name", _line(key))
            elif key.value in seen:
                self.wrong(
                    (*path, key.value),
                    f"given twice, first in line {self.lines['.'.join((*path, key.value))]}",
                    _line(key),
                )
            else:
                seen[key.value] = value
                self.lines[".".join((*path, key.value))] = _line(key)
        return list(seen.items())

    def section(self, node: yaml.Node, kind: inspect.StructType, path: tuple[str, ...]) -> dict[str, Any] | None:
        """The fields of a mapping, each its value or BAD; None when it is no mapping."""
        pairs = self._pairs(node, path)
        if pairs is None:
            return None
        fields = {field.encode_name: field for field in kind.fields}
        data: dict[str, Any] = {}
        for key, value in pairs:
            if key not in fields:
                self.wrong((*path, key), f"there is no such key; {nearest(key, sorted(fields))}")
                continue
            data[key] = self.read(value, fields[key].type, (*path, key))
        for name, field in fields.items():
            if field.required and name not in data:
                self.wrong((*path, name), f"is missing; it must be given: {allowed(field.type)}", _line(node))
                data[name] = BAD
        return data

    def _dict(self, node: yaml.Node, kind: inspect.DictType, path: tuple[str, ...]) -> Any:
        pairs = self._pairs(node, path)
        if pairs is None:
            return BAD
        data = {}
        for key, value in pairs:
            if isinstance(kind.key_type, inspect.LiteralType) and key not in kind.key_type.values:
                self.wrong(
                    (*path, key), f"there is no such name; {nearest(key, [str(v) for v in kind.key_type.values])}"
                )
                continue
            data[key] = self.read(value, kind.value_type, (*path, key))
        return BAD if any(value is BAD for value in data.values()) else data

    def _anything(self, node: yaml.Node, path: tuple[str, ...]) -> Any:
        """What is checked elsewhere; keys stay as they are written."""
        self._values += 1
        if self._values > MAX_VALUES:
            raise RecursionError
        if isinstance(node, yaml.MappingNode):
            pairs = self._pairs(node, path) or []
            data: Any = {key: self._anything(value, (*path, key)) for key, value in pairs}
            return BAD if any(value is BAD for value in data.values()) else data
        self.lines.setdefault(".".join(path), _line(node))
        if isinstance(node, yaml.SequenceNode):
            data = [self._anything(value, (*path, str(number))) for number, value in enumerate(node.value)]
            return BAD if any(value is BAD for value in data) else data
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (ValueError, yaml.YAMLError):
            return self.wrong(path, f"{node.value!r} cannot be read", _line(node))

    def _scalar(self, node: yaml.Node, kind: inspect.Type, unit: str, path: tuple[str, ...]) -> Any:
        said = allowed(kind, unit)
        if not isinstance(node, yaml.ScalarNode) or node.tag.endswith(":null"):
            return self.wrong(path, f"is {_kind(node)}, must be {said}", _line(node))
        text = node.value
        value: Any = text
        try:
            if unit == "size":
                value = units.read_size(text)
            elif unit == "seconds":
                value = units.read_seconds(text)
                if isinstance(kind, inspect.IntType):
                    value = int(value)
            elif not isinstance(kind, inspect.StrType | inspect.LiteralType):
                value = yaml.SafeLoader("").construct_object(node)
        except (ValueError, yaml.YAMLError):
            return self.wrong(path, f"{text!r} is not {said}", _line(node))
        if isinstance(kind, inspect.LiteralType):
            return value if value in kind.values else self.wrong(path, f"{text!r} is not {said}", _line(node))
        if not _fits(value, kind):
            return self.wrong(path, f"{text!r} is not {said}", _line(node))
        return value


def _fits(value: Any, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.IntType):
        good = isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(kind, inspect.FloatType):
        good = isinstance(value, int | float) and not isinstance(value, bool) and value == value
    elif isinstance(kind, inspect.BoolType):
        return isinstance(value, bool)
    else:
        return isinstance(value, str) and "\0" not in value
    return (
        good
        and (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )


def allowed(kind: inspect.Type, unit: str = "") -> str:
    """What a value of the type may be, in words."""
    if isinstance(kind, inspect.Metadata):
        return allowed(kind.type, (kind.extra or {}).get("unit", ""))
    if isinstance(kind, inspect.UnionType):
        others = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
        return allowed(others[0]) + (" or empty" if len(others) < len(kind.types) else "")
    if isinstance(kind, inspect.LiteralType):
        return f"one of {', '.join(str(value) for value in kind.values)}"
    if isinstance(kind, inspect.BoolType):
        return "true or false"
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        word = {"size": units.SIZE_ALLOWED, "seconds": units.TIME_ALLOWED}.get(unit)
        if word is None:
            word = "a whole number" if isinstance(kind, inspect.IntType) else "a number"
        low = kind.ge if kind.ge is not None else kind.gt
        high = kind.le if kind.le is not None else kind.lt
        if high is not None and low is not None:
            return f"{word} from {low:g} to {high:g}"
        if high is not None:
            return f"{word} up to {high:g}"
        return word if low is None or (unit and low == 0) else f"{word}, {low:g} or more"
    if isinstance(kind, inspect.StructType):
        return "a section with keys"
    if isinstance(kind, inspect.DictType):
        return "a section with names"
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return f"a list, each {allowed(kind.item_type)}"
    return "text"


def read_settings(text: str, file: str, settings: type[msgspec.Struct]) -> tuple[dict[str, Any], Reader]:
    """The sections of the text, ready for msgspec, each BAD where it cannot be used; the reader with problems and lines."""
    reader = Reader(file)
    node: yaml.Node | None = None
    try:
        node = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reader.wrong((), f"not YAML: {error.problem or error.context}", mark.line + 1 if mark else 1)
        return {}, reader
    except yaml.YAMLError as error:
        reader.wrong((), f"not YAML: {str(error).splitlines()[0]}", 1)
        return {}, reader
    except RecursionError:
        reader.wrong((), "not YAML: nested too deeply", 1)
        return {}, reader
    if node is None:
        node = yaml.MappingNode("tag:yaml.org,2002:map", [], yaml.Mark(file, 0, 0, 0, "", 0))
    kind = inspect.type_info(settings)
    assert isinstance(kind, inspect.StructType)
    try:
        return reader.section(node, kind, ()) or {}, reader
    except RecursionError:
        reader.wrong((), "holds itself, or more than can be read", 1)
        return {}, reader
