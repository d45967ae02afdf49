"""One rule of `gatepostExtension`: what happens to mail for an extension of a mailbox's address.

    EXT [if|unless CONDITION] ACTION [ARGUMENT]

    EXT         the extension as the address has it (`jobs`, `lists+dev`); `lists+*` is everything that begins so,
                `*` every extension, `@` the address without an extension
    CONDITION   sender ADDRESS, sender @domain, sender <>       the return path
                header NAME TEXT        a field that has TEXT somewhere, in any case
                program NAME            the program ends with 0; 111 and killed are "later", others "no"
    ACTION      deliver, folder NAME, forward ADDRESS..., program NAME, reject [TEXT], discard

A word with blanks is put between double quotes. Which rules count, and in which order, is for the router.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from directory.model.address import InvalidAddress, canonical_address, canonical_domain

MAX_RULE = 1000
MAX_TEXT = 200
EVERY = "*"
NONE = "@"
#: action -> fewest and most arguments
ACTIONS = {
    "deliver": (0, 0),
    "folder": (1, 1),
    "forward": (1, 50),
    "program": (1, 1),
    "reject": (0, 0),
    "discard": (0, 0),
}
#: condition -> how many arguments
CONDITIONS = {"sender": 1, "header": 2, "program": 1}
_WORD = re.compile(r'"([^"]*)"|(\S+)')


@dataclass(frozen=True, slots=True)
class If:
    """A condition; `wanted` is False for `unless`."""

    wanted: bool
    kind: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """`extension` is in lower case. `arguments` are addresses, a folder, or the text of a refusal."""

    extension: str
    action: str
    arguments: tuple[str, ...] = ()
    condition: If | None = None


def extension_of(text: str) -> str:
    """The first word of a rule, however wrong the rest is."""
    match = _WORD.search(text)
    return _plain(match).lower() if match is not None else ""


def _plain(match: re.Match[str]) -> str:
    """The word, without its quotes."""
    return str(match[2] if match[1] is None else match[1])


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Rule:
    """Raises ValueError with what is wrong in it."""
    if len(text) > MAX_RULE or not text.isprintable():
        raise ValueError(f"a rule has at most {MAX_RULE} printable characters")
    matches = list(_WORD.finditer(text))
    words = [_plain(match) for match in matches]
    if len(words) < 2:
        raise ValueError(f"{text!r} is no rule: EXT ACTION ARGUMENT is wanted, as in: jobs forward hr@example.com")
    extension, place = words[0].lower(), 1
    if (extension != NONE and "@" in extension) or EVERY in extension[:-1]:
        raise ValueError(f"{words[0]!r} is no extension: a word, word+*, * or @ is wanted")
    condition = None
    if words[place].lower() in ("if", "unless"):
        condition = _condition(words, place)
        place += 2 + len(condition.arguments)
    if place >= len(words):
        raise ValueError(f"{text!r}: an action is missing")
    action = words[place].lower()
    if action not in ACTIONS:
        raise ValueError(f"{words[place]!r} is no action: {', '.join(ACTIONS)} are")
    if action == "reject":
        said = text[matches[place].end() :].strip()
        if len(said) > MAX_TEXT or not said.isascii():
            raise ValueError(f"the text of a refusal has at most {MAX_TEXT} ASCII characters")
        return Rule(extension, action, (said,) if said else (), condition)
    arguments = tuple(words[place + 1 :])
    fewest, most = ACTIONS[action]
    if not fewest <= len(arguments) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise ValueError(f"{text!r}: {action} takes {wanted} arguments")
    if action == "forward":
        try:
            for address in arguments:
                canonical_address(address)
        except InvalidAddress as error:
            raise ValueError(f"{text!r}: {error}") from None
    return Rule(extension, action, arguments, condition)


def _condition(words: list[str], place: int) -> If:
    kind = words[place + 1].lower() if place + 1 < len(words) else ""
    if kind not in CONDITIONS:
        raise ValueError(f"{kind!r} is no condition: {', '.join(CONDITIONS)} are")
    arguments = tuple(words[place + 2 : place + 2 + CONDITIONS[kind]])
    if len(arguments) < CONDITIONS[kind]:
        raise ValueError(f"{words[place]} {kind}: an argument is missing")
    if kind == "sender":
        arguments = (_sender(arguments[0]),)
    return If(words[place].lower() == "if", kind, arguments)


def _sender(text: str) -> str:
    """The canonical form: an address, `@domain`, or "" for the null return path."""
    if text == "<>":
        return ""
    try:
        return f"@{canonical_domain(text[1:])}" if text.startswith("@") else str(canonical_address(text))
    except (InvalidAddress, ValueError):
        raise ValueError(f"{text!r} is no sender: an address, @domain or <> is wanted") from None


def holds(condition: If, sender: str) -> bool:
    """Is a condition on the sender so for a message with this return path ("" = `<>`)?"""
    wanted = condition.arguments[0]
    try:
        address = str(canonical_address(sender)) if sender else ""
    except InvalidAddress:
        address = sender.lower()
    found = address == wanted or (wanted.startswith("@") and address.endswith(wanted))
    return found is condition.wanted
