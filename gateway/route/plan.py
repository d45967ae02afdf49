"""A delivery plan: what happens to a message for one recipient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from directory.model import MailboxHolder


@dataclass(frozen=True, slots=True)
class Local:
    """Put it into the store of `holder`; `recipient` is the address as the envelope gave it."""

    holder: MailboxHolder
    recipient: str


@dataclass(frozen=True, slots=True)
class Remote:
    """Send it on to an address outside, with `return_path` unchanged."""

    recipient: str


Step: TypeAlias = Local | Remote


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps for one recipient, duplicates removed."""

    steps: tuple[Step, ...]
