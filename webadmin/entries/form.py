"""An entry's fields as inputs of a form, and what was filled in as changes.

A value is shown as the write port takes it back (`2G`, `7d`, `2027-01-31T18:00`), a distinguished name as the login or
address of whom it names. What was not touched is not sent, so what a person does not see or know he does not change.
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from directory.model import Entry
from directory.model.attribute import BOOLEAN, DN, INTEGER, TIME
from directory.model.units import write_seconds, write_size
from directory.profile_source import WORDS
from directory.write_values import Field, fields_of
from webadmin.entries.labels import LABELS, OTHER, SECTIONS, section_of

MAX_BEFORE = 200_000  # characters
SIZES = frozenset({"quota", "quota_soft", "max_message_size", "domain_quota"})
SECONDS = frozenset({"quota_grace"})
#: texts that take more than a line
_LONG = frozenset({"vacation_text"})
#: shown as a field of its own page, not in the form: there may be thousands
ELSEWHERE = frozenset({"members", "unique_members", "member_addresses"})
_COMPLAINT = re.compile(r"(\w+): (.+)", re.DOTALL)

#: field -> its values, as people write them
Values = dict[str, list[str]]


class Sent(Protocol):
    """What a browser sent."""

    def getlist(self, key: str) -> list[str]: ...


def written(name: str, facts: Field, value: Any, names: Mapping[str, str]) -> list[str]:
    """A field's value, each as the write port takes it."""
    many = list(value) if isinstance(value, list | tuple) else [value]
    return [_text(name, facts, one, names) for one in many if one is not None]


def _text(name: str, facts: Field, value: Any, names: Mapping[str, str]) -> str:
    syntax = facts.facts.syntax
    if isinstance(value, bool):
        return "yes" if value else "no"
    if syntax is INTEGER and name in SIZES:
        return write_size(int(value))
    if syntax is INTEGER and name in SECONDS:
        return write_seconds(float(value)) if value else "0"
    if syntax is TIME:
        return time.strftime("%Y-%m-%dT%H:%M", time.gmtime(float(value)))
    if syntax is DN:
        return names.get(value, str(value))
    return str(value)


@dataclass(slots=True)
class Input:
    """One field of a form."""

    name: str
    label: str
    help: str
    #: line, lines, check, choice, choices, when
    kind: str
    values: list[str]
    #: what holds when nothing is filled in
    otherwise: str = ""
    choices: tuple[str, ...] = ()
    #: people and groups of the directory belong here
    picks: bool = False
    editable: bool = True
    problem: str = ""
    #: what somebody else wrote meanwhile
    meanwhile: list[str] | None = None
    ldap_name: str = ""

    @property
    def text(self) -> str:
        """The value of one line, or all of them."""
        return "\n".join(self.values)

    @property
    def example(self) -> str:
        """How a size or a time is written."""
        return "2G" if self.name in SIZES else "7d" if self.name in SECONDS else ""

    @property
    def rows(self) -> int:
        """Lines of the box for several values."""
        return min(max(len(self.values) + 1, 2), 12)


@dataclass(slots=True)
class Section:
    """Inputs under one heading."""

    heading: str
    inputs: list[Input] = field(default_factory=list)

    @property
    def filled(self) -> bool:
        """True when something in it is worth a look without being asked."""
        return any(
            (one.values and one.kind not in ("check", "choice")) or one.problem or one.meanwhile is not None
            for one in self.inputs
        )


def _kind(facts: Field) -> str:
    if facts.facts.syntax is BOOLEAN:
        return "check"
    if facts.name in WORDS:
        return "choices" if facts.is_multi else "choice"
    if facts.facts.syntax is TIME:
        return "when"
    return "lines" if facts.is_multi or facts.name in _LONG else "line"


def stored(cls: type[Entry], facts: Mapping[str, Any]) -> Values:
    """An entry's own values, as the verb `show` told them."""
    known = fields_of(cls)
    return {
        name: written(name, known[name], value, facts["names"])
        for name, value in facts["own"].items()
        if name in known and value not in (None, "", [], ())
    }


def sections(
    cls: type[Entry],
    values: Values,
    editable: Collection[str],
    effective: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
    leave_out: Collection[str] = (),
) -> list[Section]:
    """The form: fields that may be changed, and those that have a value."""
    found = {heading: Section(heading) for heading in (*SECTIONS, OTHER)}
    order = {name: place for names_ in SECTIONS.values() for place, name in enumerate(names_)}
    defaults = defaults_of(cls)
    for facts in sorted(fields_of(cls).values(), key=lambda each: order.get(each.name, 99)):
        may = facts.name in editable
        if facts.name in leave_out or facts.name in ELSEWHERE or facts.facts.since is None:
            continue
        if not may and not values.get(facts.name):
            continue
        other = (effective or {}).get(facts.name)
        otherwise = ""
        if not values.get(facts.name) and other not in (None, "", [], (), 0, False):
            otherwise = ", ".join(written(facts.name, facts, other, names or {}))
        found[section_of(facts.name)].inputs.append(
            Input(
                name=facts.name,
                label=LABELS.get(facts.name, facts.name),
                help=facts.facts.description,
                kind=_kind(facts),
                values=list(values.get(facts.name, ())) or defaults.get(facts.name, []),
                otherwise=otherwise,
                choices=WORDS.get(facts.name, ()),
                picks=facts.facts.syntax is DN,
                editable=may,
                ldap_name=facts.facts.ldap_name,
            )
        )
    return [section for section in found.values() if section.inputs]


def sent(cls: type[Entry], form: Sent, editable: Collection[str], leave_out: Collection[str] = ()) -> Values:
    """What was filled in, of the fields that may be."""
    found: Values = {}
    for facts in fields_of(cls).values():
        if facts.name not in editable or facts.name in leave_out or facts.name in ELSEWHERE:
            continue
        texts = form.getlist(f"f.{facts.name}")
        if not texts and not form.getlist(f"has.{facts.name}"):
            continue  # the form did not have it
        found[facts.name] = _lines(facts, texts)
    return found


def _lines(facts: Field, texts: list[str]) -> list[str]:
    kind = _kind(facts)
    if kind == "lines" and facts.is_multi:
        parts = [line for text in texts for line in text.splitlines()]
        return list(dict.fromkeys(part for line in parts if (part := line.strip())))
    if kind == "check":
        return ["yes" if "yes" in texts else "no"]
    if kind == "lines":
        return [text.replace("\r\n", "\n").strip() for text in texts if text.strip()]
    return [text.strip() for text in texts if text.strip()]


def _same(one: list[str], other: list[str]) -> bool:
    return sorted(one) == sorted(other)


def differences(before: Values, after: Values, defaults: Mapping[str, list[str]]) -> Values:
    """Fields that were changed, with their new values. A check box that stands at its default says nothing new."""
    found = {}
    for name, values in after.items():
        had = before.get(name, [])
        if _same(values, had) or (not had and _same(values, defaults.get(name, []))):
            continue
        found[name] = values
    return found


def defaults_of(cls: type[Entry]) -> Values:
    """What check boxes and choices stand at when the entry says nothing."""
    known = fields_of(cls)
    found = {}
    for each in dataclasses.fields(cls):
        kind = _kind(known[each.name]) if each.name in known else ""
        if kind == "check":
            found[each.name] = ["yes" if each.default else "no"]
        elif kind == "choice":
            found[each.name] = [str(each.default)]
    return found


def as_changes(values: Values) -> list[dict[str, Any]]:
    """For the verbs that change entries."""
    return [{"field": name, "operation": "set", "values": texts} for name, texts in values.items()]


def pack(values: Values) -> str:
    """For a hidden field: what the form showed."""
    return msgspec.json.encode({name: texts for name, texts in values.items() if name not in ELSEWHERE}).decode()


def unpack(text: str) -> Values | None:
    """What `pack` made; None when it is something else."""
    try:
        return msgspec.json.decode(text[:MAX_BEFORE], type=dict[str, list[str]])
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def blame(made: list[Section], problem: str) -> str:
    """Write a complaint (`quota: '5X' is not …`) to its field; the answer is what is left for the top of the form."""
    found = _COMPLAINT.match(problem)
    for section in made if found is not None else ():
        for one in section.inputs:
            if found is not None and one.name == found[1]:
                one.problem = found[2]
                return ""
    return problem
