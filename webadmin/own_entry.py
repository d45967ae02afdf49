"""The person's own entry in the directory: what stands in it, and changes of what he may change himself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webadmin.person import ask, person


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """`version` is what a change names, so that nobody overwrites what he has not seen."""

    version: str
    values: Mapping[str, Any]

    def text(self, field: str) -> str:
        """The value of a field, "" = none."""
        value = self.values.get(field)
        return "" if value is None else str(value)

    def texts(self, field: str) -> list[str]:
        """All values of a field."""
        value = self.values.get(field) or ()
        return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]


def load() -> OwnEntry:
    """As it is now. Raises NotPossible, Unavailable, SessionEnded."""
    found = ask("show", kind="user", name=person().login)
    return OwnEntry(found["version"], found["values"])


def change(version: str, values: Mapping[str, Sequence[str]]) -> None:
    """Set these fields; no values take one away. Raises NotPossible (somebody was faster, a value is none, the directory is
    read-only), Unavailable, SessionEnded."""
    changes = [{"field": field, "operation": "set", "values": list(texts)} for field, texts in values.items()]
    ask("change", kind="user", name=person().login, changes=changes, version=version)
