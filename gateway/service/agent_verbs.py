"""What the agent does over the control socket: the table of its verbs. One line a verb or group of them."""

from __future__ import annotations

from collections.abc import Mapping

from directory.replica import ReplicaWriter
from gateway.control.server import Right, Verb
from gateway.service.agent_accounts import Accounts
from gateway.service.agent_logins import LoginServer


def verbs(writer: ReplicaWriter, logins: LoginServer, accounts: Accounts) -> Mapping[str, Verb]:
    """The table."""
    return {
        "accept-deletions": Verb(Right.OPERATE, lambda caller, args: writer.accept_deletions()),
        "flush-logins": Verb(Right.OPERATE, lambda caller, args: logins.flush()),
        **accounts.verbs(),
    }
