"""The admin socket of the queue runner: what only the mail user may do, because the files are his."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import asdict
from typing import Any, Literal, TypeVar

import msgspec

from directory.model import MailingList, Refused
from directory.port import Directory
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.queue.list_state import ListState
from gateway.service.list_moderation import Moderation, NoSuchPost

MAIL_SOCKET = "mail.sock"  # in run_dir
ANSWER_SECONDS = 30.0
T = TypeVar("T")


class OneList(msgspec.Struct, forbid_unknown_fields=True):
    """The list with that entry id. The caller names entries by id: he has looked them up in his own copy."""

    list: str


class Member(msgspec.Struct, forbid_unknown_fields=True):
    """A member of a list, by the address that the list knows him by."""

    list: str
    member: str


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """What becomes of a post that waits."""

    list: str
    post: str
    decision: Literal["approve", "reject"]


class MailVerbs:
    """The verbs' functions; they run in threads, what asks the directory in the runner's loop."""

    def __init__(
        self, lists: ListState, moderation: Moderation, directory: Directory, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._lists, self._moderation, self._directory, self._loop = lists, moderation, directory, loop

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "list-unpark": Verb(Right.OPERATE, self._unpark, Member),
            "list-held": Verb(Right.OPERATE, self._held, OneList),
            "list-moderate": Verb(Right.OPERATE, self._moderate, Decision),
        }

    def _in_loop(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(ANSWER_SECONDS)

    def _unpark(self, caller: Caller, wanted: Member) -> dict[str, Any]:
        if not self._lists.unpark(wanted.list, wanted.member.strip().lower()):
            raise VerbError(f"{wanted.member}: nothing came back for such a member", 1)
        return {"member": wanted.member}

    def _held(self, caller: Caller, wanted: OneList) -> list[dict[str, Any]]:
        return [asdict(one) for one in self._moderation.waiting(wanted.list)]

    def _moderate(self, caller: Caller, wanted: Decision) -> dict[str, Any]:
        async def decide() -> None:
            entry = self._directory.by_id(wanted.list)
            if not isinstance(entry, MailingList):
                raise NoSuchPost(wanted.post)
            await self._moderation.decide(entry, wanted.post, wanted.decision, f"operator (uid {caller.uid})")

        try:
            self._in_loop(decide())
        except NoSuchPost:
            raise VerbError(f"no post {wanted.post} waits for this list", 1) from None
        except Refused as error:
            raise VerbError(str(error), 1) from None
        except TimeoutError:
            raise VerbError("the queue runner is busy, try again", 4) from None
        return {"post": wanted.post, "decision": wanted.decision}
