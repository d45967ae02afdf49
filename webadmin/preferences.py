"""What the person chose for himself in these pages, kept by the agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from webadmin.person import ask

#: for which a message can be taken back; 0 = it goes at once
UNDO_SECONDS = (0, 5, 10, 20, 30)
DEFAULT_UNDO = 10
MAX_SIGNATURE = 4000  # characters


@dataclass(frozen=True, slots=True)
class Preferences:
    """Values that are not set, or are none that may be set, are these."""

    signature: str = ""
    undo_seconds: int = DEFAULT_UNDO
    rich_text: bool = False

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Preferences:
        """From what the agent keeps."""
        undo = values.get("undo_seconds", "")
        seconds = int(undo) if undo.isdecimal() and len(undo) < 5 else DEFAULT_UNDO
        return cls(
            signature=values.get("signature", "")[:MAX_SIGNATURE],
            undo_seconds=seconds if seconds in UNDO_SECONDS else DEFAULT_UNDO,
            rich_text=values.get("rich_text") == "yes",
        )


def preferences() -> Preferences:
    """Of whoever is logged in. Raises Unavailable, SessionEnded."""
    return Preferences.of(ask("preferences"))


def keep(chosen: Preferences) -> None:
    """Set all of them. Raises NotPossible, Unavailable, SessionEnded."""
    values = {
        "signature": chosen.signature[:MAX_SIGNATURE],
        "undo_seconds": str(chosen.undo_seconds),
        "rich_text": "yes" if chosen.rich_text else "",
    }
    ask("preferences-set", values=values)
