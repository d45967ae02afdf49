"""Flags between the wire and the index: system flags are Maildir letters there, keywords words.

On the wire a message's flags are one text of octets, made once for each combination and shared by all
messages that have it (RFC 3501 2.3.2).
"""

from __future__ import annotations

from functools import lru_cache

from gateway.imap.parser import BadCommand, Parser

#: in the order in which they are shown
SYSTEM = {"R": b"\\Answered", "F": b"\\Flagged", "T": b"\\Deleted", "S": b"\\Seen", "D": b"\\Draft"}
_LETTERS = {name.lower(): letter for letter, name in SYSTEM.items()}
SYSTEM_FLAGS = b" ".join(SYSTEM.values())
SEEN, DELETED = b"\\Seen", b"\\Deleted"
MAX_KEYWORD = 64  # octets; longer ones do not fit the index's and other servers' tables
MAX_FLAGS = 100  # flags named in one command; the index keeps as many keywords of a message
_COMBINATIONS = 8192  # a text has at most 7 KiB


@lru_cache(_COMBINATIONS)
def flags_text(letters: str, keywords: str) -> bytes:
    """What FETCH FLAGS shows between its parentheses."""
    shown = [name for letter, name in SYSTEM.items() if letter in letters]
    return b" ".join([*shown, keywords.encode("ascii", "replace")] if keywords else shown)


def has_flag(text: bytes, flag: bytes) -> bool:
    """True when `flag` (a system flag or keyword, any case) is one of the flags in `text`."""
    return flag.lower() in text.lower().split()


def _flag(arguments: Parser) -> bytes:
    if arguments.at(b"\\"):
        return b"\\" + arguments.atom()
    return arguments.atom()


def read_flags(arguments: Parser) -> tuple[str, str]:
    """A flag list, in parentheses or bare (RFC 3501 6.4.6), as (letters, keywords). Raises BadCommand."""
    flags: list[bytes] = []
    if arguments.at(b"("):
        while not arguments.at(b")"):
            if flags:
                arguments.space()
            flags.append(_flag(arguments))
    else:
        flags.append(_flag(arguments))
        while arguments.at(b" "):
            flags.append(_flag(arguments))
    if len(flags) > MAX_FLAGS:
        raise BadCommand("too many flags")
    letters, keywords = set(), []
    for flag in flags:
        if not flag.startswith(b"\\"):
            if len(flag) > MAX_KEYWORD:
                raise BadCommand(f"a keyword has at most {MAX_KEYWORD} octets")
            keywords.append(flag.decode("ascii"))
        elif (letter := _LETTERS.get(flag.lower())) is not None:
            letters.add(letter)
        else:
            raise BadCommand("this system flag cannot be set")
    return "".join(sorted(letters)), " ".join(keywords)
