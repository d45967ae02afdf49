"""The reference of the configuration, made from the settings classes: their fields, types, defaults and `#:` comments.

As YAML every option stands behind `#` with its default; taking the `#` away gives a file that can be loaded.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect as types

from directory.model import units
from gateway.config.reading import allowed
from gateway.config.settings import Settings

WIDTH = 110
#: what stands for values that every installation has to give
EXAMPLES: dict[str, Any] = {
    "state_dir": "/var/lib/gatepost",
    "run_dir": "/run/gatepost",
    "directory.servers": ["ldaps://ldap.example.com"],
    "directory.base": "dc=example,dc=com",
    "store.volumes": {"main": {"path": "/var/lib/gatepost/mail"}},
    "listen": {
        "mx": [{"address": "0.0.0.0", "port": 25}],
        "submission": [{"address": "0.0.0.0", "port": 587}],
        "imap": [{"address": "0.0.0.0", "port": 143}],
    },
}


@dataclass(frozen=True, slots=True)
class Option:
    """One key of the configuration."""

    path: str
    allowed: str
    #: as JSON data with units, None where it must be given
    default: Any
    doc: str
    required: bool
    #: for a section: its keys; for a list or names of sections: the keys of each
    options: tuple[Option, ...] = ()


@cache
def comments(settings: type) -> dict[str, str]:
    """The `#:` comments above the fields of a class."""
    try:
        lines = textwrap.dedent(inspect.getsource(settings)).splitlines()
    except OSError:  # an installation without sources
        return {}
    body = ast.parse("\n".join(lines)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for node in body.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            said: list[str] = []
            number = node.lineno - 2
            while number >= 0 and lines[number].strip().startswith("#:"):
                said.insert(0, lines[number].strip()[2:].strip())
                number -= 1
            found[node.target.id] = " ".join(said)
    return found


def shown(value: Any, kind: types.Type) -> Any:
    """A default as a person writes it."""
    unit = ""
    if isinstance(kind, types.Metadata):
        unit, kind = (kind.extra or {}).get("unit", ""), kind.type
    if unit == "size":
        return units.write_size(value) if value >= 1024 else value
    if unit == "seconds":
        return units.write_seconds(value)
    return msgspec.to_builtins(value)


def _inner(kind: types.Type) -> types.Type:
    """The section within a list, a set of names or an alternative."""
    if isinstance(kind, types.Metadata):
        return _inner(kind.type)
    if isinstance(kind, types.VarTupleType | types.ListType):
        return _inner(kind.item_type)
    if isinstance(kind, types.DictType):
        return _inner(kind.value_type)
    if isinstance(kind, types.UnionType):
        return next((each for each in kind.types if isinstance(each, types.StructType)), kind.types[0])
    return kind


def options(settings: type = Settings, path: str = "") -> tuple[Option, ...]:
    """Every key of a settings class, sections with their own."""
    kind = types.type_info(settings)
    assert isinstance(kind, types.StructType)
    said = comments(settings)
    found = []
    for field in kind.fields:
        own = f"{path}.{field.name}" if path else field.name
        inner = _inner(field.type)
        below: tuple[Option, ...] = ()
        doc = said.get(field.name, "")
        if isinstance(inner, types.StructType):
            each = own
            if isinstance(field.type, types.DictType):
                each += ".NAME"
            if not isinstance(field.type, types.StructType):
                value = field.type.value_type if isinstance(field.type, types.DictType) else field.type
                each += ".N" if isinstance(value, types.VarTupleType | types.ListType) else ""
            below = options(inner.cls, each)
            doc = doc or _first(inner.cls)
        default: Any = None
        if field.default is not msgspec.NODEFAULT:
            default = shown(field.default, field.type)
        elif field.default_factory is not msgspec.NODEFAULT:
            default = shown(field.default_factory(), field.type)
        found.append(Option(own, allowed(field.type), default, doc, field.required, below))
    return tuple(found)


def _first(settings: type) -> str:
    text = " ".join((inspect.getdoc(settings) or "").partition("\n\n")[0].split())
    if text.startswith("Configuration section"):  # what it is for stands at the head of its file
        module = inspect.getmodule(settings)
        text = re.split(r"[.:] | \(|; ", " ".join((getattr(module, "__doc__", "") or "").split()))[0]
    return text.removesuffix(".")


def select(wanted: str) -> tuple[Option, ...]:
    """The option at a path, or the keys of the section. Raises KeyError."""
    found = options()
    for step in [step for step in wanted.split(".") if step]:
        here = [each for each in found if each.path.rpartition(".")[2] == step]
        if not here:
            raise KeyError(wanted)
        found = here[0].options or (here[0],)
    return found


def flat(found: tuple[Option, ...]) -> Iterator[Option]:
    """The options and those below them."""
    for option in found:
        yield option
        yield from flat(option.options)


def _yaml(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) or not _plain(value) else value


def _plain(text: str) -> bool:
    return bool(text) and all(c.isalnum() or c in "-_./" for c in text) and text[0].isalpha()


def as_yaml(found: tuple[Option, ...], indent: int = 0) -> Iterator[str]:
    """Lines of the commented reference."""
    for option in found:
        name = option.path.rpartition(".")[2]
        pad = " " * indent
        plain_section = (
            option.options and f"{option.path}.{option.options[0].path.rpartition('.')[2]}" == option.options[0].path
        )
        if indent == 0:
            yield ""
        for line in textwrap.wrap(option.doc, WIDTH - indent) + ([] if plain_section else [f"({option.allowed})"]):
            yield f"{pad}# {line}"
        example = EXAMPLES.get(option.path)
        mark = "" if option.required else "#"
        if plain_section:
            needs = any(each.required or each.path in EXAMPLES for each in flat(option.options))
            yield f"{pad}{'' if needs else '#'}{name}:"
            yield from as_yaml(option.options, indent + 2)
        else:
            yield f"{pad}{'' if example is not None else mark}{name}: {_yaml(example if example is not None else option.default)}"
            for each in option.options:
                said = f" {each.doc}" if each.doc else ""
                default = "must be given" if each.required else f"default {_yaml(each.default)}"
                first, *rest = textwrap.wrap(
                    f"{each.path.rpartition('.')[2]}:{said} ({each.allowed}; {default})", WIDTH - indent - 4
                )
                yield f"{pad}#   {first}"
                yield from (f"{pad}#     {line}" for line in rest)


def reference() -> str:
    """The page docs/reference/configuration.md."""
    parts = [
        "# Configuration\n",
        "One YAML file, by default `/etc/gatepost/gatepost.yaml`. `gatepost check` tries it, `gatepost reload` takes it.",
        "This page is what `gatepost describe --markdown` prints; `gatepost describe` prints it as YAML with comments.\n",
        "A size is a number of octets, as in 1000, 64K, 50M, 2G, 1T; a time is a number of seconds, or has a unit, as in",
        "90, 30s, 5m, 24h, 7d.",
    ]
    top = [option for option in options() if not option.options]
    parts += ["\n## At the top\n", *_table(top)]
    for option in options():
        if option.options:
            parts += [f"\n## {option.path}\n", f"{option.doc}.\n", *_table(list(flat(option.options)), option.path)]
    return "\n".join(parts) + "\n"


def _table(found: list[Option], section: str = "") -> list[str]:
    rows = ["| key | meaning | allowed | default |", "|---|---|---|---|"]
    for option in found:
        if option.options:
            rows.append(f"| `{option.path}` | {option.doc} | {option.allowed} | |")
            continue
        default = "must be given" if option.required else f"`{_yaml(option.default)}`"
        said = option.allowed.replace(units.SIZE_ALLOWED, "a size").replace(units.TIME_ALLOWED, "a time")
        rows.append(f"| `{option.path}` | {option.doc} | {said} | {default} |".replace("|  |", "| |"))
    return rows
