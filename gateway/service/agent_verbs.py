"""What the agent does for an administrator over the control socket: one function a verb."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from directory.replica import ReplicaWriter
from gateway.control.server import Verb
from gateway.service.agent_logins import LoginServer


def verbs(writer: ReplicaWriter, logins: LoginServer) -> Mapping[str, Verb]:
    """The table."""

    def flush_logins(args: dict[str, Any]) -> None:
        logins.flush()

    return {
        "accept-deletions": lambda args: writer.accept_deletions(),
        "flush-logins": flush_logins,
    }
