"""Control verb `configuration`: what the service runs with, each value with its line. For administrators; secrets are hidden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import msgspec

from gateway.config import places
from gateway.config.settings import Settings
from gateway.control.protocol import MAX_LINE
from gateway.control.server import Caller, Right, Verb
from gateway.service.runner_actors import Actors

MAX_ANSWER = MAX_LINE * 3 // 4


class AskConfiguration(msgspec.Struct, forbid_unknown_fields=True):
    """Values in whose path or text `text` occurs; with `defaults` those that the file does not give, too."""

    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    defaults: bool = False


class ConfigurationVerb:
    """The verb's function; it runs in a thread."""

    def __init__(self, settings: Settings, actors: Actors) -> None:
        self._settings, self._actors = settings, actors

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table."""
        return {"configuration": Verb(Right.ACT, self._configuration, AskConfiguration)}

    def _configuration(self, caller: Caller, wanted: AskConfiguration) -> dict[str, Any]:
        self._actors.administrator(caller, to_change=False)
        loaded = places.of(self._settings)
        text, room = wanted.text.casefold(), MAX_ANSWER
        found = []
        for value in places.values(self._settings, loaded.lines):
            if not (value.line or wanted.defaults) or text not in f"{value.path} {value.text}".casefold():
                continue
            shown = asdict(value)
            room -= len(msgspec.json.encode(shown))
            if room < 0:
                break
            found.append(shown)
        return {"file": loaded.file, "values": found}
