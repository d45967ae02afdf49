"""LDAP search filters (RFC 4515) evaluated over replica entries.

`compile_filter` gives a predicate. Values compare without regard to case and surrounding spaces, names of
entries without regard to how they are written, object classes with their superclasses;
`>=` and `<=` compare as numbers where both sides are. Extensible matches and unknown rules are an
error when the filter is read, not a silent "no".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from directory.raw import RawEntry, canonical_dn

Predicate = Callable[[RawEntry], bool]

MAX_FILTER_CHARACTERS = 8192
MAX_DEPTH = 32

_ITEM = re.compile(r"\s*([A-Za-z][A-Za-z0-9.;-]*)\s*(~=|>=|<=|=)")
_ESCAPE = re.compile(rb"\\([0-9a-fA-F]{2})")
_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")


#: classes that an entry belongs to without listing them (RFC 4519 3): servers match superclasses, too
_SUPERIORS: dict[str, tuple[str, ...]] = {
    "organizationalperson": ("person",),
    "residentialperson": ("person",),
    "inetorgperson": ("organizationalperson", "person"),
    "pilotperson": ("person",),
    "newpilotperson": ("person",),
    "user": ("organizationalperson", "person"),
    "contact": ("organizationalperson", "person"),
    "computer": ("user", "organizationalperson", "person"),
}


class InvalidFilter(ValueError):
    """The text is no filter that can be evaluated here; the message says where and why."""


def _value(text: str) -> str:
    if "\\" in text:
        octets = _ESCAPE.sub(lambda m: bytes([int(m[1], 16)]), text.encode("utf-8", "replace"))
        text = octets.decode("utf-8", "replace")
    return " ".join(text.split()).casefold()


def _values(entry: RawEntry, name: str) -> list[str]:
    if name == "entrydn":
        return [" ".join(entry.dn.split()).casefold()]
    return [" ".join(text.split()).casefold() for text in entry.texts(name)]


def _compare(name: str, operator: str, wanted: str) -> Predicate:
    def test(entry: RawEntry) -> bool:
        for have in _values(entry, name):
            left: int | str
            right: int | str
            left, right = have, wanted
            if _INTEGER.match(have) and _INTEGER.match(wanted):
                left, right = int(have), int(wanted)
            if (left >= right) if operator == ">=" else (left <= right):  # type: ignore[operator]
                return True
        return False

    return test


def _item(name: str, operator: str, text: str) -> Predicate:
    name = name.lower()
    if operator in (">=", "<="):
        return _compare(name, operator, _value(text))
    if operator == "=" and text == "*":
        return lambda entry: name in entry.attributes
    if operator == "=" and "*" in text:
        pieces = [_value(piece) for piece in text.split("*")]
        first, *middle, last = pieces

        def substring(entry: RawEntry) -> bool:
            for have in _values(entry, name):
                if not have.startswith(first):
                    continue
                position = len(first)
                for piece in middle:
                    position = have.find(piece, position)
                    if position < 0:
                        break
                    position += len(piece)
                else:
                    if len(have) - len(last) >= position and have.endswith(last):
                        return True
            return False

        return substring
    wanted = _value(text)
    if name == "objectclass":
        return _class(wanted)
    if "=" in wanted:
        wanted_name = canonical_dn(wanted)
        return lambda entry: wanted in _values(entry, name) or wanted_name in map(canonical_dn, _values(entry, name))
    return lambda entry: wanted in _values(entry, name)


def _class(wanted: str) -> Predicate:
    octets = wanted.encode()

    def test(entry: RawEntry) -> bool:
        listed = entry.attributes.get("objectclass", ())
        if octets in listed:  # mostly it stands there as it is
            return True
        classes = _values(entry, "objectclass")
        if wanted in classes or (wanted == "top" and classes):
            return True
        return any(wanted in _SUPERIORS.get(name, ()) for name in classes)

    return test


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def fail(self, why: str) -> InvalidFilter:
        return InvalidFilter(f"filter {self.text!r}, at {self.position}: {why}")

    def skip(self) -> None:
        while self.position < len(self.text) and self.text[self.position] in " \t\r\n":
            self.position += 1

    def expect(self, character: str) -> None:
        self.skip()
        if not self.text.startswith(character, self.position):
            raise self.fail(f"{character!r} expected")
        self.position += 1

    def filter(self, depth: int) -> Predicate:
        if depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH}")
        self.expect("(")
        self.skip()
        head = self.text[self.position : self.position + 1]
        if head in ("&", "|"):
            self.position += 1
            parts: list[Predicate] = []
            self.skip()
            while self.text.startswith("(", self.position):
                parts.append(self.filter(depth + 1))
                self.skip()
            self.expect(")")
            several = tuple(parts)
            if head == "&":
                return lambda entry: all(part(entry) for part in several)
            return lambda entry: any(part(entry) for part in several)
        if head == "!":
            self.position += 1
            self.skip()
            inner = self.filter(depth + 1)
            self.expect(")")
            return lambda entry: not inner(entry)
        match = _ITEM.match(self.text, self.position)
        if match is None:
            raise self.fail("attribute and one of = >= <= ~= expected (extensible matches are not supported)")
        end = self.text.find(")", match.end())
        if end < 0:
            raise self.fail("')' expected")
        value = self.text[match.end() : end]
        if "(" in value:
            raise self.fail("'(' in a value is written \\28")
        self.position = end + 1
        return _item(match[1], match[2], value)


@lru_cache(maxsize=1024)
def compile_filter(text: str) -> Predicate:
    """The predicate for a filter; outer parentheses may be missing. Raises InvalidFilter."""
    text = text.strip()
    if len(text) > MAX_FILTER_CHARACTERS:
        raise InvalidFilter(f"a filter may have {MAX_FILTER_CHARACTERS} characters, this one has {len(text)}")
    if not text.startswith("("):
        text = f"({text})"
    parser = _Parser(text)
    predicate = parser.filter(0)
    parser.skip()
    if parser.position != len(text):
        raise parser.fail("text behind the end of the filter")
    return predicate
