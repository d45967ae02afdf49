"""A control verb for what the web front end publishes about domains: is this one ours?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from directory.model import InvalidAddress, canonical_domain
from directory.port import Directory
from gateway.control.server import Caller, Right, Verb
from gateway.service.runner_actors import Actors


class OneDomain(msgspec.Struct, forbid_unknown_fields=True):
    """By name or alias."""

    name: str


class DomainVerb:
    """The verb's function; it runs in a thread."""

    def __init__(self, directory: Directory, actors: Actors) -> None:
        self._directory, self._actors = directory, actors

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table. Whoever can reach port 25 learns as much there."""
        return {"domain-served": Verb(Right.FRONT, self._served, OneDomain)}

    def _served(self, caller: Caller, wanted: OneDomain) -> dict[str, Any]:
        async def look() -> str:
            try:
                found = self._directory.domain(canonical_domain(wanted.name))
            except InvalidAddress:
                return ""
            return found.name if found is not None and found.status == "active" else ""

        return {"name": self._actors.in_loop(look)}
