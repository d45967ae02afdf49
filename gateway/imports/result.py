"""What an import makes: entries as LDIF, a piece of configuration, and for every line read what became of it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from directory.model import InvalidAddress, canonical_domain

_SAFE = re.compile(r"[\x01-\x09\x0b\x0c\x0e-\x1f\x21-\x39\x3b\x3d-\x7f][\x01-\x09\x0b\x0c\x0e-\x7f]*\Z")
_SPECIAL = re.compile(r'([,+"\\<>;=])|^([ #])|( )$')
#: kind -> container, object classes behind the first, naming attribute
KINDS = {
    "domain": ("ou=domains", ("gatepostEntry", "gatepostDomain"), "cn"),
    "person": ("ou=people", ("inetOrgPerson", "gatepostAccount"), "uid"),
    "alias": ("ou=mail", ("gatepostEntry", "gatepostAlias"), "cn"),
    "shared": ("ou=mail", ("gatepostEntry", "gatepostSharedMailbox"), "cn"),
    "list": ("ou=groups", ("gatepostEntry", "gatepostList"), "cn"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the input. `became` says what it is now; `kept` is False where it could not be kept, and why."""

    file: str
    number: int
    text: str
    became: str
    kept: bool = True


@dataclass(slots=True)
class Entry:
    """One entry that is made; attributes with several values keep their order, each value once."""

    kind: str
    name: str
    attributes: dict[str, list[str]] = field(default_factory=dict)

    def add(self, attribute: str, *values: str) -> None:
        """One more value."""
        have = self.attributes.setdefault(attribute, [])
        have.extend(value for value in values if value not in have)

    def put(self, attribute: str, value: str) -> None:
        """The only value."""
        self.attributes[attribute] = [value]


class Result:
    """Collects."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.entries: dict[tuple[str, str], Entry] = {}
        self.lines: list[Line] = []
        self.configuration: dict[str, Any] = {}

    def entry(self, kind: str, name: str) -> Entry:
        """The entry of that name, made when it is missing."""
        found = self.entries.get((kind, name.lower()))
        if found is None:
            found = self.entries[kind, name.lower()] = Entry(kind, name)
        return found

    def read(self, path: Path) -> Iterator[tuple[int, str]]:
        """The lines of a file that count, with their numbers; comments are told. A file that is missing has none."""
        if not path.exists():
            return
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            text = line.strip()
            if text.startswith("#"):
                self.became(path, number, text, "a comment, left out")
            elif text:
                yield number, text

    def domain(self, path: Path, number: int, text: str) -> str:
        """A name of a domain in its canonical form; "", and told, for one that is none."""
        try:
            return canonical_domain(text)
        except InvalidAddress as error:
            self.lost(path, number, text, str(error))
            return ""

    def configure(self, path: str, value: object) -> None:
        """Something for the configuration file, such as `route.extension_separator`."""
        place = self.configuration
        *parents, last = path.split("/")
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = value

    def became(self, file: Path, number: int, text: str, became: str) -> None:
        self.lines.append(Line(str(file), number, text, became))

    def lost(self, file: Path, number: int, text: str, why: str) -> None:
        self.lines.append(Line(str(file), number, text, why, kept=False))

    # output

    def ldif(self) -> str:
        """Every entry, domains first; the containers are those of `directory` in the configuration."""
        order = list(KINDS)
        entries = sorted(self.entries.values(), key=lambda entry: (order.index(entry.kind), entry.name.lower()))
        return "".join(f"{chr(10).join(self._lines(entry))}\n\n" for entry in entries)

    def _lines(self, entry: Entry) -> Iterator[str]:
        container, classes, naming = KINDS[entry.kind]
        yield _attribute("dn", f"{naming}={_escaped(entry.name)},{container},{self.base}")
        for name in classes:
            yield f"objectClass: {name}"
        attributes = dict(entry.attributes)
        attributes.setdefault(naming, [entry.name])
        if entry.kind == "person":
            attributes.setdefault("cn", [entry.name])
            attributes.setdefault("sn", [entry.name])
        for name, values in attributes.items():
            for value in values:
                yield _attribute(name, value)

    def yaml(self) -> str:
        """The piece of configuration, "" when there is none."""
        return yaml.safe_dump(self.configuration, sort_keys=False, allow_unicode=True) if self.configuration else ""

    def explanation(self) -> str:
        """Every line of the input and what it became."""
        told = []
        file = ""
        for line in self.lines:
            if line.file != file:
                file = line.file
                told.append(f"{file}")
            where = f"{line.number:>4}" if line.number else "    "
            told.append(f"  {where}  {line.text}")
            told.append(f"        {'->' if line.kept else 'NOT KEPT:'} {line.became}")
        lost = sum(not line.kept for line in self.lines)
        told.append(f"{len(self.lines)} lines, {lost} not kept, {len(self.entries)} entries")
        return "\n".join(told) + "\n"


def _escaped(text: str) -> str:
    """A value in a distinguished name (RFC 4514 2.4)."""
    return _SPECIAL.sub(lambda match: "\\" + match[0], text)


def _attribute(name: str, value: str) -> str:
    if _SAFE.match(value) and not value.endswith(" "):
        return f"{name}: {value}"
    return f"{name}:: {base64.b64encode(value.encode('utf-8', 'surrogateescape')).decode('ascii')}"
