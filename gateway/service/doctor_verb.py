"""Control verb `doctor-address`: every step from an address to a mailbox, and the reply that a sender gets.

For administrators and the help desk, and for who administers the address's domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from directory.login_rules import named
from directory.model import Account
from directory.port import Directory, Login
from gateway.config.settings import Settings
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.mail_sight import Sight, sight
from gateway.service.rehearsal import rehearse
from gateway.service.rehearsal_targets import told_targets
from gateway.service.runner_actors import Actors
from gateway.smtp.settings import Role

SENDER = "postmaster@sender.invalid"
MAX_STEPS = 500
MAX_TEXT = 2000  # characters of one of them


class AskAddress(msgspec.Struct, forbid_unknown_fields=True):
    """`sender` is the return path of the message, "" = `<>`; `login`: as submission answers this person."""

    address: Annotated[str, msgspec.Meta(min_length=1, max_length=320)]
    sender: Annotated[str, msgspec.Meta(max_length=320)] = SENDER
    login: Annotated[str, msgspec.Meta(max_length=320)] = ""


class AddressDoctor:
    """The verb's function; it runs in a thread."""

    def __init__(self, settings: Settings, directory: Directory, actors: Actors) -> None:
        self._settings, self._directory, self._actors = settings, directory, actors

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table."""
        return {"doctor-address": Verb(Right.ACT, self._report, AskAddress)}

    def _report(self, caller: Caller, wanted: AskAddress) -> dict[str, Any]:
        eye, _ = sight(self._actors, caller)
        if not eye.has(wanted.address):
            raise VerbError(f"{wanted.address} is in no domain that you administer", 5)
        login = self._login(eye, wanted.login) if wanted.login else None
        role = Role.SUBMISSION if login is not None else Role.MX
        told = rehearse(self._settings, self._directory, wanted.address, wanted.sender, role, login)
        targets = told_targets(told, wanted.sender, self._directory, self._settings)
        return {
            "address": wanted.address,
            "sender": wanted.sender,
            "steps": _bounded(told.steps),
            "targets": _bounded(targets),
            "code": told.code,
            "reply": told.reply,
            "detail": told.detail[:MAX_TEXT],
        }

    def _login(self, eye: Sight, name: str) -> Login:
        """Raises VerbError for nobody that he may see."""
        found = [entry for entry in named(self._directory, name.strip()) if isinstance(entry, Account)]
        if len(found) != 1 or not eye.owns(found[0].id):
            raise VerbError(f"nobody has the login {name!r}", 1)
        return Login(found[0].id, "doctor")


def _bounded(lines: list[str]) -> list[str]:
    return [line[:MAX_TEXT] for line in lines[:MAX_STEPS]]
