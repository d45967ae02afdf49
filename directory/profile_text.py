"""The text of a mapping profile: YAML with the line of every key, so that each error says where it is.

`directory.map` of the configuration is laid over the profile, key by key (null takes a key away); an
error in what came from there names the configuration's key instead of a line of the profile.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import yaml

from directory.filter import InvalidFilter, Predicate, compile_filter

MAX_FILE_OCTETS = 256 * 1024
_ATTRIBUTE = re.compile(r"[A-Za-z][A-Za-z0-9-]*(;[A-Za-z0-9-]+)*\Z")
_MISSING: Final = object()


class InvalidProfile(ValueError):
    """The profile cannot be used. `str()` is `file:line: key: what is wrong and what is allowed`.

    Where the configuration is at fault, `key` is the path of its key and `reason` what is wrong with it.
    """

    def __init__(self, text: str, *, key: tuple[str, ...] = (), reason: str = "") -> None:
        super().__init__(text)
        self.key = key
        self.reason = reason or text


def _unusable(reason: str) -> InvalidProfile:
    return InvalidProfile(f"directory.profile: {reason}", key=("directory", "profile"), reason=reason)


def nearest(word: str, allowed: Collection[str]) -> str:
    """What is allowed instead of `word`, in words."""
    close = difflib.get_close_matches(word, allowed, 1, 0.6)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{word!r} is not known; {hint}allowed: {', '.join(sorted(allowed))}"


def _plain(node: yaml.Node, loader: yaml.SafeLoader, file: str) -> Any:
    """Python values; keys as they are written, for YAML reads a bare `yes` or `TRUE` as a truth value."""
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise InvalidProfile(f"{file}:{key.start_mark.line + 1}: a key is a word")
            if key.value in found:
                raise InvalidProfile(f"{file}:{key.start_mark.line + 1}: {key.value}: stands here twice")
            found[key.value] = _plain(value, loader, file)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_plain(value, loader, file) for value in node.value]
    return loader.construct_object(node, deep=True)


def _merged(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, Mapping):
        return above
    result = dict(below)
    for key, value in above.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result[key], value) if key in result else value
    return result


class ProfileText:
    """A parsed profile. `data` is the profile with the overrides laid over it."""

    def __init__(self, text: str, file: str, overrides: Mapping[str, Any] | None = None) -> None:
        self.file = file
        self._overrides = overrides or {}
        try:
            loader = yaml.SafeLoader(text)
            try:
                self._node = loader.get_single_node()
                data = _plain(self._node, loader, file) if self._node is not None else {}
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise InvalidProfile(f"{file}:{mark.line + 1 if mark else 1}: {error.problem}") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            if isinstance(error, InvalidProfile):
                raise
            raise InvalidProfile(f"{file}:1: {' '.join(str(error).split())}") from error
        if not isinstance(data, dict):
            raise InvalidProfile(f"{file}:1: a profile is a mapping of keys to values")
        self.data: dict[str, Any] = _merged(data, self._overrides)

    @classmethod
    def load(cls, name: str, overrides: Mapping[str, Any] | None = None) -> ProfileText:
        """A shipped profile by name, or a file by path. Raises InvalidProfile."""
        folder = resources.files("directory") / "profiles"
        if "/" in name or name.endswith((".yaml", ".yml")):
            path = Path(name)
            try:
                if path.stat().st_size > MAX_FILE_OCTETS:
                    raise _unusable(f"{path}: larger than {MAX_FILE_OCTETS} octets, this is no profile")
                return cls(path.read_text(encoding="utf-8"), str(path), overrides)
            except (OSError, UnicodeDecodeError) as error:
                raise _unusable(f"{path}: {getattr(error, 'strerror', None) or error}") from error
        shipped = folder / f"{name}.yaml"
        if not shipped.is_file():
            names = sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))
            raise _unusable(f"{nearest(name, names)}, or the path of a file")
        return cls(shipped.read_text(encoding="utf-8"), str(shipped), overrides)

    def _line(self, steps: tuple[str, ...]) -> int:
        node, line = self._node, 1
        for step in steps:
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == step:
                        line, node = key.start_mark.line + 1, value
                        break
                else:
                    break
            elif isinstance(node, yaml.SequenceNode) and step.isdigit() and int(step) < len(node.value):
                node = node.value[int(step)]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def _is_overridden(self, steps: tuple[str, ...]) -> bool:
        value: Any = self._overrides
        for step in steps:
            if not isinstance(value, Mapping):
                return True  # a list or scalar that stands wholly in the configuration
            value = value.get(step, _MISSING)
            if value is _MISSING:
                return False
        return bool(steps)

    def fail(self, steps: tuple[str, ...], reason: str) -> InvalidProfile:
        """The error to raise for what stands at `steps`."""
        if self._is_overridden(steps):
            key = ("directory", "map", *steps)
            return InvalidProfile(f"{'.'.join(key)}: {reason}", key=key, reason=reason)
        shown = f"{'.'.join(steps)}: " if steps else ""
        return InvalidProfile(f"{self.file}:{self._line(steps)}: {shown}{reason}")


@dataclass(frozen=True, slots=True)
class Place:
    """A key of a profile; checks the value that stands there."""

    text: ProfileText
    steps: tuple[str, ...] = ()

    def at(self, *steps: str | int) -> Place:
        return Place(self.text, (*self.steps, *map(str, steps)))

    def fail(self, reason: str) -> InvalidProfile:
        return self.text.fail(self.steps, reason)

    def mapping(self, value: Any, allowed: Collection[str] | None = None) -> dict[str, Any]:
        """`value` when it is a mapping with allowed keys only."""
        if not isinstance(value, dict):
            raise self.fail(f"a mapping is expected here{', with ' + ', '.join(sorted(allowed)) if allowed else ''}")
        for key in value:
            if allowed is not None and key not in allowed:
                raise self.at(key).fail(nearest(key, allowed))
        return value

    def string(self, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise self.fail(f"a text is expected here, not {value!r}")
        return value

    def strings(self, value: Any) -> tuple[str, ...]:
        """A text, or a list of texts."""
        if isinstance(value, list):
            return tuple(self.at(number).string(one) for number, one in enumerate(value))
        return (self.string(value),)

    def flag(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.fail(f"true or false is expected here, not {value!r}")
        return value

    def attribute(self, value: Any) -> str:
        """An attribute name, in lower case."""
        name = self.string(value)
        if not _ATTRIBUTE.match(name):
            raise self.fail(f"{name!r} is no attribute name; letters, digits and - are allowed")
        return name.lower()

    def attributes(self, value: Any) -> tuple[str, ...]:
        """An attribute name, or a list of them."""
        if isinstance(value, list):
            return tuple(self.at(number).attribute(one) for number, one in enumerate(value))
        return (self.attribute(value),)

    def filter(self, value: Any) -> Predicate:
        try:
            return compile_filter(self.string(value))
        except InvalidFilter as error:
            raise self.fail(str(error)) from error
