"""What the agent does over the control socket: the table of its verbs. One line a verb or group of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from directory.follow import Follower
from directory.replica import ReplicaWriter
from gateway.control.server import Right, Verb
from gateway.service.agent_logins import LoginServer

RESYNC_SECONDS = 25.0  # less than the caller waits


class Group(Protocol):
    """A file of verbs."""

    def verbs(self) -> Mapping[str, Verb]: ...


def verbs(writer: ReplicaWriter, logins: LoginServer, follower: Follower, *groups: Group) -> Mapping[str, Verb]:
    """The table."""

    def resync() -> dict[str, int] | None:
        done = follower.resync(RESYNC_SECONDS)
        return {"changed": done.changed, "removed": done.removed, "held": done.held} if done is not None else None

    return {
        "accept-deletions": Verb(Right.OPERATE, lambda caller, args: writer.accept_deletions()),
        "directory-resync": Verb(Right.OPERATE, lambda caller, args: resync()),
        "directory-status": Verb(Right.OPERATE, lambda caller, args: follower.facts()),
        "flush-logins": Verb(Right.OPERATE, lambda caller, args: logins.flush()),
        **{name: verb for group in groups for name, verb in group.verbs().items()},
    }
