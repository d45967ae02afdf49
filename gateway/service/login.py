"""A login of any protocol: proven by the agent, counted, logged."""

from __future__ import annotations

from typing import Protocol

from directory.model import Deferred, Refused
from directory.port import Login
from gateway.observe import maillog
from gateway.service.host import Host


class Peer(Protocol):
    """The connection of a session."""

    @property
    def is_near(self) -> bool:
        """It came through the web front end of this host."""
        ...

    def log_in(self, account: str) -> None:
        """Count it for the account. Raises Deferred(TOO_MANY_CONNECTIONS)."""
        ...

    def log_out(self) -> None:
        """Count it for its address again, as one that has not logged in."""
        ...


async def log_in(
    host: Host, peer: Peer | None, service: str, address: str, name: str, password: str, *, near: bool = False
) -> Login:
    """Prove who the client at `address` is; `peer` is None where nothing is counted, and then `near` says whether he
    comes through the web front end of this host. Raises Refused, Deferred."""
    try:
        login = await host.authenticator.authenticate(
            name, password, service, address, near=near if peer is None else peer.is_near
        )
        if peer is not None:
            peer.log_in(login.account)
    except (Deferred, Refused) as error:
        outcome = error.condition.name.lower()
        maillog.login(login=name, client=address, service=service, outcome=outcome, detail=error.detail)
        raise
    maillog.login(login=name, client=address, service=service, outcome="ok")
    return login
