"""Whose queue a verb is about: everything for root and the service's own user, else what the caller submitted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gateway.cli.entries import read_password
from gateway.cli.hand_in import place
from gateway.config.load import ConfigurationError, load
from gateway.control.client import call
from gateway.control.protocol import Claim
from gateway.service.owner_verbs import OWNER_SOCKET


def is_operator(configuration: Path) -> bool:
    """True for root and for the user that the queue belongs to. Raises ConfigurationError."""
    from gateway.service.identity import mail_uid

    try:
        settings = load(configuration)
    except ConfigurationError:
        if os.access(configuration, os.R_OK) or os.getuid() == 0:
            raise
        return False
    return os.getuid() in (0, mail_uid(settings))


def claim_of(login: str) -> Claim | None:
    """The person who asks, his password asked for; None: the unix user."""
    return Claim(login, read_password(f"Password of {login}")) if login else None


def ask_as_owner(configuration: Path, verb: str, claim: Claim | None, **arguments: Any) -> Any:
    """Have the running service do something with the caller's own mail. Raises ControlError."""
    return call(place(configuration).socket.parent / OWNER_SOCKET, verb, claim, **arguments)
