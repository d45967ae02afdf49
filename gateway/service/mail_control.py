"""The admin socket of the queue runner: what only the mail user may do, because the files are his."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.queue.list_state import ListState

MAIL_SOCKET = "mail.sock"  # in run_dir


class Member(msgspec.Struct, forbid_unknown_fields=True):
    """A member of the list with that entry id, by the address that the list knows him by."""

    list: str
    member: str


class MailVerbs:
    """The verbs' functions. The caller names entries by id: he has looked them up in his own copy."""

    def __init__(self, lists: ListState) -> None:
        self._lists = lists

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {"list-unpark": Verb(Right.OPERATE, self._unpark, Member)}

    def _unpark(self, caller: Caller, wanted: Member) -> dict[str, Any]:
        if not self._lists.unpark(wanted.list, wanted.member.strip().lower()):
            raise VerbError(f"{wanted.member}: nothing came back for such a member", 1)
        return {"member": wanted.member}
