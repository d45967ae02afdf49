"""What another server notes beside the messages of one mailbox, whatever its format. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gateway.store.flags import words

MAX_UID = 2**32 - 1
#: a unique-id of POP3 (RFC 1939 7)
_UIDL = re.compile(r"[\x21-\x7e]{1,70}")


class Unreadable(ValueError):
    """A store that cannot be taken over as it is; the text says why and what to do."""


@dataclass(slots=True)
class Records:
    """UIDs, POP3 unique-ids and keywords by file name up to `:`; `letters` are keywords by their letter in file names.

    `uidvalidity` 0: the server has given no UIDs yet.
    """

    uidvalidity: int = 0
    uidnext: int = 1
    uids: dict[str, int] = field(default_factory=dict)
    uidls: dict[str, str] = field(default_factory=dict)
    keywords: dict[str, str] = field(default_factory=dict)
    letters: dict[str, str] = field(default_factory=dict)

    def keywords_of(self, base: str, info: str) -> str:
        """Keywords of the message with that file name and these letters."""
        named = [self.letters[letter] for letter in info if letter in self.letters]
        return words(" ".join([*self.keywords.get(base, "").split(), *named]))


def number(text: str) -> int:
    """A UID or UIDVALIDITY; 0 for anything else."""
    found = int(text) if text.isdecimal() and len(text) <= 10 else 0
    return found if found <= MAX_UID else 0


def unique_id(text: str) -> str:
    """A unique-id as POP3 allows it; "" for anything else."""
    return text if _UIDL.fullmatch(text) else ""


def keyword(text: str) -> str:
    """A keyword as IMAP allows it (RFC 9051 flag-keyword); "" for anything else."""
    is_atom = text.isascii() and text.isprintable() and not set(text) & set('(){%*"\\] ')
    return text if is_atom else ""
