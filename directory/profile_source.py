"""Where a field's value comes from: attributes, templates and constants, and what is done to them.

A source is a name of an attribute, a list of sources, or a mapping (docs/reference/profile.md). It is
compiled once into a function from a raw entry to decoded values; a value that cannot be decoded is left
out, for the servers' syntax checks are loose and one odd value must not hide an entry.
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from directory.model.attribute import BOOLEAN, DN, INTEGER, TIME, Syntax
from directory.model.units import read_size
from directory.profile_text import Place
from directory.raw import RawEntry, canonical_dn

#: (raw entry, unix time) -> decoded values, none when the source has none
Values = Callable[[RawEntry, float], Sequence[Any]]

UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
#: a pattern written by hand may be slow on long texts: longer values do not match
MAX_PATTERN_TEXT = 1024
MAX_NUMBER = (1 << 63) - 1  # what a database column holds
FILETIME_NEVER = (0, 0x7FFFFFFFFFFFFFFF)

#: fields whose values are words of a fixed set
WORDS: dict[str, tuple[str, ...]] = {
    "status": ("active", "noaccess", "suspended", "closed"),
    "kind": ("local", "relay", "backup"),
    "moderation": ("none", "nonmembers", "all"),
    "subscription": ("closed", "request", "open"),
    "services": ("imap", "pop3", "submission", "webmail", "sieve", "selfservice"),
}

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_KEYS = frozenset(
    {
        "attr", "template", "const", "when", "prefix", "exact", "strip", "replace", "regex", "to", "lower", "values", "bit",
        "filetime", "filetime_past", "generalized_past", "has_none_of", "has_any_of", "then", "unit", "bool", "many",
        "default",
    }
)  # fmt: skip
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off"})


@dataclass(frozen=True, slots=True)
class Target:
    """The field that a source fills."""

    name: str
    syntax: Syntax
    multi: bool


def generalized_time(text: str) -> float:
    """GeneralizedTime (RFC 4517 3.3.13) as unix time. Raises ValueError."""
    match = re.match(r"(\d{10})(\d\d)?(\d\d)?(?:[.,](\d+))?(Z|[+-]\d{4})\Z", text)
    if match is None:
        raise ValueError(f"{text!r} is no generalized time such as 20301231235959Z")
    stamp = f"{match[1]}{match[2] or '00'}{match[3] or '00'}"
    seconds = float(calendar.timegm(time.strptime(stamp, "%Y%m%d%H%M%S")))
    if match[5] != "Z":
        sign = 1 if match[5][0] == "+" else -1
        seconds -= sign * (int(match[5][1:3]) * 3600 + int(match[5][3:5]) * 60)
    return seconds


def filetime(text: str) -> float:
    """Active Directory's count of 100 ns since 1601 as unix time. Raises ValueError for "never", too."""
    number = int(text)
    if number in FILETIME_NEVER:
        raise ValueError("never")
    return number / 1e7 - 11_644_473_600


def size(text: str, unit: int = 1) -> int:
    """A number such as 100 or `5 GiB`; `unit` counts where the text names none. Raises ValueError."""
    text = text.strip()
    number = int(text) * unit if text.isdecimal() and len(text) < 20 else read_size(text)
    if number > MAX_NUMBER:
        raise ValueError(f"{text!r} is too large")
    return number


def literal(place: Place, value: Any, target: Target) -> Any:
    """A value that the profile itself states, checked and decoded; a tuple for a field of several values."""
    if target.multi:
        values = value if isinstance(value, list) else [value]
        return tuple(_literal(place, one, target) for one in values)
    return _literal(place, value, target)


def _literal(place: Place, value: Any, target: Target) -> Any:
    syntax = target.syntax
    if syntax is BOOLEAN:
        return place.flag(value)
    if syntax is INTEGER:
        try:
            return size("" if isinstance(value, bool) else str(value))
        except ValueError:
            raise place.fail(f"{value!r} is no number; 1000 or 5 GiB are") from None
    text = place.string(value)
    if syntax is TIME:
        try:
            return generalized_time(text)
        except ValueError as error:
            raise place.fail(str(error)) from error
    if syntax is DN:
        return canonical_dn(text)
    words = WORDS.get(target.name)
    if words and text not in words:
        raise place.fail(f"{text!r} is not one of {', '.join(words)}")
    return text


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError(text)


def _decoder(syntax: Syntax, unit: int, *, as_filetime: bool, lenient: bool) -> Callable[[str], Any] | None:
    """Text to value; None where the text is the value."""
    if syntax is BOOLEAN:
        return _boolean if lenient else lambda text: text.strip().upper() == "TRUE"
    if syntax is INTEGER:
        return lambda text: size(text, unit)
    if syntax is TIME:
        return filetime if as_filetime else generalized_time
    return canonical_dn if syntax is DN else None


def decoded(texts: Sequence[str], decode: Callable[[str], Any] | None) -> Sequence[Any]:
    """The values of those texts that can be decoded."""
    if decode is None:
        return texts
    found = []
    for text in texts:
        try:
            found.append(decode(text))
        except ValueError:
            continue
    return found


def choice(place: Place, spec: Any, target: Target, *, union: bool = False) -> Values:
    """Compile a source or a list of sources: the first that has values, or (`union`) all of them."""
    if not isinstance(spec, list):
        return source(place, spec, target)
    sources = tuple(source(place.at(number), one, target) for number, one in enumerate(spec))
    if union:
        return lambda raw, now: [value for one in sources for value in one(raw, now)]

    def first(raw: RawEntry, now: float) -> Sequence[Any]:
        for one in sources:
            found = one(raw, now)
            if found:
                return found
        return ()

    return first


def source(place: Place, spec: Any, target: Target) -> Values:
    """Compile one source."""
    if isinstance(spec, str):
        return _attribute(place.attribute(spec), target.syntax)
    spec = place.mapping(spec, _KEYS)
    kinds = [key for key in ("attr", "template", "const") if key in spec]
    if len(kinds) != 1:
        raise place.fail("a source has one of attr, template, const")
    values = _constant(place, spec, target) if "const" in spec else _pipeline(place, spec, target)
    if "when" in spec:
        values = _only_when(place.at("when").filter(spec["when"]), values)
    if "many" in spec:
        many = place.at("many").flag(spec["many"])
        if many and not target.multi:
            raise place.at("many").fail(f"{target.name} holds one value")
        if not many:
            values = _first_only(values)
    if "default" in spec:
        fallback = literal(place.at("default"), spec["default"], target)
        values = _with_default(values, fallback if target.multi else (fallback,))
    return values


def is_timed(spec: Any) -> bool:
    """True when what a source gives depends on the time of day."""
    if isinstance(spec, list):
        return any(map(is_timed, spec))
    return isinstance(spec, dict) and ("filetime_past" in spec or "generalized_past" in spec)


def plain_decoder(syntax: Syntax) -> Callable[[str], Any] | None:
    """Text to value where a source is a mere attribute; None where the text is the value."""
    return _decoder(syntax, 1, as_filetime=False, lenient=False)


def _attribute(name: str, syntax: Syntax) -> Values:
    decode = plain_decoder(syntax)
    if decode is None:
        return lambda raw, now: raw.texts(name)
    return lambda raw, now: decoded(raw.texts(name), decode)


def _constant(place: Place, spec: dict[str, Any], target: Target) -> Values:
    for key in spec:
        if key not in ("const", "when"):
            raise place.at(key).fail("const stands alone or with when")
    value = literal(place.at("const"), spec["const"], target)
    found = value if target.multi else (value,)
    return lambda raw, now: found


def _only_when(matches: Callable[[RawEntry], bool], values: Values) -> Values:
    return lambda raw, now: values(raw, now) if matches(raw) else ()


def _first_only(values: Values) -> Values:
    return lambda raw, now: values(raw, now)[:1]


def _with_default(values: Values, fallback: Sequence[Any]) -> Values:
    return lambda raw, now: values(raw, now) or fallback


def texts_of(place: Place, spec: dict[str, Any]) -> Callable[[RawEntry], Sequence[str]]:
    """The texts that a mapping starts from: the first attribute of `attr` that has values, or a template."""
    if "template" in spec:
        return template(place.at("template"), spec["template"])
    names = place.at("attr").attributes(spec["attr"])

    def read(raw: RawEntry) -> Sequence[str]:
        for name in names:
            found = raw.texts(name)
            if found:
                return found
        return ()

    return read


def template(place: Place, text: Any) -> Callable[[RawEntry], Sequence[str]]:
    """`{cn}@example.com`: every value of a lone attribute, the first values of several; none when one lacks."""
    pieces: list[tuple[str, str]] = []  # (literal text, attribute behind it)
    position, before = 0, ""
    text = place.string(text)
    for match in _PLACEHOLDER.finditer(text):
        before += text[position : match.start()]
        position = match.end()
        if match[1] is None:
            before += match[0][0]
        else:
            pieces.append((before, place.attribute(match[1])))
            before = ""
    tail = before + text[position:]
    if not pieces:
        raise place.fail("a template names an attribute in braces, such as {cn}@example.com")
    if len(pieces) == 1:
        head, name = pieces[0]
        return lambda raw: [f"{head}{value}{tail}" for value in raw.texts(name)]

    def several(raw: RawEntry) -> Sequence[str]:
        parts = []
        for head, name in pieces:
            found = raw.texts(name)
            if not found:
                return ()
            parts.append(head + found[0])
        return ("".join(parts) + tail,)

    return several


Step = Callable[[Sequence[str]], Sequence[str]]


def _steps(place: Place, spec: dict[str, Any]) -> tuple[Step, ...]:
    """What is done to the texts, in this order: prefix, strip, replace, regex, lower."""
    exact = place.at("exact").flag(spec.get("exact", False))
    steps: list[Step] = []
    if "prefix" in spec:
        steps.append(_prefix(place.at("prefix").string(spec["prefix"]), exact))
    elif "exact" in spec and "strip" not in spec:
        raise place.at("exact").fail("exact goes with prefix or strip")
    if "strip" in spec:
        steps.append(_strip(place.at("strip").string(spec["strip"]), exact))
    if "replace" in spec:
        pairs = place.at("replace").mapping(spec["replace"])
        for old, new in pairs.items():
            if not isinstance(new, str) or not old:
                raise place.at("replace", old).fail("a text is replaced by a text")
            steps.append(lambda texts, old=old, new=new: [text.replace(old, new) for text in texts])  # type: ignore[misc]
    if "regex" in spec:
        steps.append(_regex(place, spec))
    elif "to" in spec:
        raise place.at("to").fail("to goes with regex")
    if place.at("lower").flag(spec.get("lower", False)):
        steps.append(lambda texts: [text.lower() for text in texts])
    return tuple(steps)


def _prefix(prefix: str, exact: bool) -> Step:
    """Only values that begin so, without it."""
    length, folded = len(prefix), prefix.casefold()
    if exact:
        return lambda texts: [text[length:] for text in texts if text.startswith(prefix)]
    return lambda texts: [text[length:] for text in texts if text[:length].casefold() == folded]


def _strip(prefix: str, exact: bool) -> Step:
    """All values, without the prefix where they have it."""
    length, folded = len(prefix), prefix.casefold()
    if exact:
        return lambda texts: [text.removeprefix(prefix) for text in texts]
    return lambda texts: [text[length:] if text[:length].casefold() == folded else text for text in texts]


def _regex(place: Place, spec: dict[str, Any]) -> Step:
    try:
        pattern = re.compile(place.at("regex").string(spec["regex"]))
    except re.error as error:
        raise place.at("regex").fail(f"not a regular expression: {error}") from error
    replacement = place.at("to").string(spec.get("to", r"\1" if pattern.groups else r"\g<0>"))
    try:
        pattern.sub(replacement, "")
    except (re.error, IndexError) as error:
        raise place.at("to").fail(f"does not fit the regex: {error}") from error

    def extract(texts: Sequence[str]) -> Sequence[str]:
        found = (pattern.fullmatch(text) for text in texts if len(text) <= MAX_PATTERN_TEXT)
        return [match.expand(replacement) for match in found if match is not None]

    return extract


def _pipeline(place: Place, spec: dict[str, Any], target: Target) -> Values:
    read, steps = texts_of(place, spec), _steps(place, spec)
    finish = _finish(place, spec, target)
    if not steps:
        return lambda raw, now: finish(read(raw), now)

    def values(raw: RawEntry, now: float) -> Sequence[Any]:
        texts = read(raw)
        for step in steps:
            texts = step(texts)
        return finish(texts, now)

    return values


Finish = Callable[[Sequence[str], float], Sequence[Any]]
_TESTS = ("bit", "filetime_past", "generalized_past", "has_none_of", "has_any_of")


def _finish(place: Place, spec: dict[str, Any], target: Target) -> Finish:
    """How texts become values: a test with its answer, a map of words, or decoding."""
    tests = [key for key in _TESTS if key in spec]
    if len(tests) > 1:
        raise place.at(tests[1]).fail(f"a source has one of {', '.join(_TESTS)}")
    if "bool" in spec and target.syntax is not BOOLEAN:
        raise place.at("bool").fail(f"{target.name} is not true or false")
    if "unit" in spec and target.syntax is not INTEGER:
        raise place.at("unit").fail(f"{target.name} is no number")
    if "filetime" in spec and target.syntax is not TIME:
        raise place.at("filetime").fail(f"{target.name} is no time")
    if tests:
        return _test(place, spec, tests[0], target)
    if "then" in spec:
        raise place.at("then").fail(f"then goes with one of {', '.join(_TESTS)}")
    unit = place.at("unit").string(spec.get("unit", "B"))
    if unit not in UNITS:
        raise place.at("unit").fail(f"{unit!r} is not one of {', '.join(UNITS)}")
    decode = _decoder(
        target.syntax,
        UNITS[unit],
        as_filetime=place.at("filetime").flag(spec.get("filetime", False)),
        lenient=place.at("bool").flag(spec.get("bool", False)),
    )
    if "values" not in spec:
        return lambda texts, now: decoded(texts, decode)
    return _word_map(place.at("values"), spec["values"], target, decode)


def _word_map(place: Place, spec: Any, target: Target, decode: Callable[[str], Any] | None) -> Finish:
    words: Mapping[str, Any] = {
        word.casefold(): _literal(place.at(word), value, target) for word, value in place.mapping(spec).items()
    }
    has_rest, rest = "*" in words, words.get("*")

    def values(texts: Sequence[str], now: float) -> Sequence[Any]:
        found: list[Any] = []
        for text in texts:
            word = text.strip().casefold()
            if word in words:
                found.append(words[word])
            elif has_rest:
                found.append(rest)
            else:
                found.extend(decoded((text,), decode))
        return found

    return values


def _test(place: Place, spec: dict[str, Any], key: str, target: Target) -> Finish:
    if "values" in spec:
        raise place.at("values").fail(f"values does not go with {key}")
    if key in ("has_none_of", "has_any_of"):
        if "then" not in spec and target.syntax is not BOOLEAN:
            raise place.at(key).fail(f"{target.name} is not true or false: then says what it is")
    elif "then" not in spec:
        raise place.at(key).fail("then says what the value is if it is so")
    answer = literal(place.at("then"), spec.get("then", True), target)
    yes = answer if target.multi else (answer,)
    check = place.at(key)
    if key == "bit":
        bit = spec[key]
        if not isinstance(bit, int) or isinstance(bit, bool) or bit <= 0:
            raise check.fail(f"{bit!r} is no bit; 2, 4, 8 … are")
        return lambda texts, now: yes if any(_has_bit(text, bit) for text in texts) else ()
    if key in ("filetime_past", "generalized_past"):
        if not check.flag(spec[key]):
            raise check.fail("true is the only value")
        read = filetime if key == "filetime_past" else generalized_time
        return lambda texts, now: yes if any(moment <= now for moment in decoded(texts, read)) else ()
    wanted = frozenset(word.casefold() for word in check.strings(spec[key]))
    no: Sequence[Any] = (False,) if target.syntax is BOOLEAN and "then" not in spec else ()
    has = key == "has_any_of"

    def among(texts: Sequence[str], now: float) -> Sequence[Any]:
        if not texts:
            return ()
        return yes if any(text.casefold() in wanted for text in texts) == has else no

    return among


def _has_bit(text: str, bit: int) -> bool:
    try:
        return bool(int(text) & bit)
    except ValueError:
        return False
