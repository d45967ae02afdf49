"""Control verbs for photographs of people, which stand in the directory and not in the local copy."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from directory.model import Account
from directory.photo import MAX_OCTETS, NoPhoto, checked
from directory.rights import PHOTO, Actor
from directory.write import WritePort, Written
from directory.write_problem import NotAllowed
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.service.agent_accounts import Accounts

ATTRIBUTE = "jpegPhoto"


class ShowPhoto(msgspec.Struct, forbid_unknown_fields=True):
    """Whose."""

    login: str


class SetPhoto(msgspec.Struct, forbid_unknown_fields=True):
    """A JPEG in base64; "" takes the photo away."""

    login: str
    photo: Annotated[str, msgspec.Meta(max_length=MAX_OCTETS * 2)]

    def __repr__(self) -> str:
        return f"SetPhoto({self.login!r})"


class Photos:
    """The verbs' functions."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "photo-show": Verb(Right.ACT, self._show, ShowPhoto),
            "photo-set": Verb(Right.ACT, self._set, SetPhoto),
        }

    def _show(self, caller: Caller, wanted: ShowPhoto) -> dict[str, Any]:
        """The first one that is shown in a browser without harm; `may_set`: the caller may change it."""
        actor, account = self._accounts.actor(caller), self._accounts.account(wanted.login)
        with self._accounts.looking() as port:
            if not port.rights.may_see(actor, account):
                raise VerbError(f"there is no user {wanted.login!r} that you may look at", 1)
            may_set = not port.read_only and not port.rights.refusal(
                actor, account, {PHOTO}, kind=type(account), addresses=account.addresses
            )
        for octets in port.read(account, ATTRIBUTE):  # the directory is asked, others need not wait for that
            try:
                return {"photo": base64.b64encode(checked(octets)).decode(), "may_set": may_set}
            except NoPhoto:
                continue
        return {"photo": "", "may_set": may_set}

    def _set(self, caller: Caller, wanted: SetPhoto) -> dict[str, Any]:
        actor, account = self._accounts.actor(caller), self._accounts.account(wanted.login)
        try:
            octets = checked(base64.b64decode(wanted.photo, validate=True)) if wanted.photo else b""
        except (NoPhoto, binascii.Error) as error:
            raise VerbError(str(error), 2) from None
        return self._accounts.write("photo-set", lambda port: _written(port, actor, account, octets))


def _written(port: WritePort, actor: Actor, account: Account, octets: bytes) -> Written:
    why = port.rights.refusal(actor, account, {PHOTO}, kind=Account, addresses=account.addresses)
    if why:
        raise NotAllowed(why)
    change = {"modify": {ATTRIBUTE: [[], [f"{len(octets)} octets"] if octets else []]}}
    return port.for_good(
        actor, account, PHOTO, change, lambda server: server.replace(actor, account.dn, ATTRIBUTE, octets)
    )
