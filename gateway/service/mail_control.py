"""The admin socket of the queue runner: what only the mail user may do, because the files are his.

The operator may do all of it; a person, for whom the web front end asks, what he looks after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import msgspec

from directory.model import Refused
from gateway.control.protocol import MAX_LINE
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.queue.list_state import ListState, bounces
from gateway.service.list_moderation import Moderation, NoSuchPost
from gateway.service.runner_actors import Actors

MAIL_SOCKET = "mail.sock"  # in run_dir
ANSWER_SECONDS = 30.0
MAX_ROWS = 1000
MAX_ANSWER = MAX_LINE * 3 // 4


class OneList(msgspec.Struct, forbid_unknown_fields=True):
    """The list with that entry id. The caller names entries by id: he has looked them up in his own copy."""

    list: str


class Member(msgspec.Struct, forbid_unknown_fields=True):
    """A member of a list, by the address that the list knows him by."""

    list: str
    member: str


class Post(msgspec.Struct, forbid_unknown_fields=True):
    """A post that waits."""

    list: str
    post: str


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    """What becomes of a post that waits."""

    list: str
    post: str
    decision: Literal["approve", "reject"]


class MailVerbs:
    """The verbs' functions; they run in threads, what asks the directory in the runner's loop."""

    def __init__(self, lists: ListState, lists_file: Path, moderation: Moderation, actors: Actors) -> None:
        self._lists, self._lists_file, self._moderation, self._actors = lists, lists_file, moderation, actors

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "list-bounces": Verb(Right.ACT, self._bounces, OneList),
            "list-unpark": Verb(Right.ACT, self._unpark, Member),
            "list-held": Verb(Right.ACT, self._held, OneList),
            "list-post": Verb(Right.ACT, self._post, Post),
            "list-moderate": Verb(Right.ACT, self._moderate, Decision),
        }

    def _bounces(self, caller: Caller, wanted: OneList) -> list[dict[str, Any]]:
        self._actors.keeper(caller, wanted.list)
        return _fitting([asdict(one) for one in bounces(self._lists_file, wanted.list)])

    def _unpark(self, caller: Caller, wanted: Member) -> dict[str, Any]:
        self._actors.keeper(caller, wanted.list, to_change=True)
        if not self._lists.unpark(wanted.list, wanted.member.strip().lower()):
            raise VerbError(f"{wanted.member}: nothing came back for such a member", 1)
        return {"member": wanted.member}

    def _held(self, caller: Caller, wanted: OneList) -> list[dict[str, Any]]:
        self._actors.keeper(caller, wanted.list)
        return _fitting([asdict(one) for one in self._moderation.waiting(wanted.list)])

    def _post(self, caller: Caller, wanted: Post) -> dict[str, Any]:
        self._actors.keeper(caller, wanted.list)
        try:
            return asdict(self._moderation.shown(wanted.list, wanted.post))
        except NoSuchPost:
            raise VerbError(f"no post {wanted.post} waits for this list", 1) from None
        except OSError as error:
            raise VerbError(f"{wanted.post}: {error.strerror}", 4) from None

    def _moderate(self, caller: Caller, wanted: Decision) -> dict[str, Any]:
        actor, entry = self._actors.keeper(caller, wanted.list, to_change=True)
        try:
            self._actors.in_loop(
                lambda: self._moderation.decide(entry, wanted.post, wanted.decision, actor.name), ANSWER_SECONDS
            )
        except NoSuchPost:
            raise VerbError(f"no post {wanted.post} waits for this list", 1) from None
        except Refused as error:
            raise VerbError(str(error), 1) from None
        return {"post": wanted.post, "decision": wanted.decision}


def _fitting(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As many rows as an answer has room for."""
    found, room = [], MAX_ANSWER
    for row in rows[:MAX_ROWS]:
        room -= len(msgspec.json.encode(row)) + 1
        if room < 0:
            break
        found.append(row)
    return found
