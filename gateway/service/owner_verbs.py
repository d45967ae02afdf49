"""What the sender of a message may do while it waits: see it, and take it back; and what became of his mail. A socket that every user of the host
may connect to, in the queue runner's process.

Who asks is known from the kernel (mail that his uid handed in with `sendmail`), or proven by login and password, an
app password or a session token (mail that the account submitted). Nobody learns anything of mail that is not his, not
even that it is there.

A message is taken back as a whole and only while no attempt at it is under way: then its file is removed in the
runner's loop, in which attempts begin. So it is either gone before anybody gets it, or the answer is "too late".
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from directory.model import Deferred, Refused
from directory.port import Login
from gateway.control.protocol import MAX_LINE
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.files.trail_own import search_own
from gateway.observe import maillog
from gateway.queue.file import Damaged, QueuedEnvelope, QueueFolder, unix_owner
from gateway.queue.shown import for_owner
from gateway.queue.state import DONE, QueueState
from gateway.service.queue_runner import QueueRunner

OWNER_SOCKET = "owner.sock"  # in run_dir
ANSWER_SECONDS = 45.0  # a login that is slowed down, and a directory that is silent
MAX_LISTED = 1000
MAX_ANSWER = MAX_LINE * 3 // 4
MAX_TRACED = 28 * 86_400.0  # seconds
LOCAL = "127.0.0.1"
T = TypeVar("T")

#: (login, password, address of the client, whether a session token is good for him wherever he sits)
LogIn = Callable[[str, str, str, bool], Awaitable[Login]]


class List(msgspec.Struct, forbid_unknown_fields=True):
    """The oldest messages of the one who asks, as many as an answer has room for."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LISTED)] = 100


class OneMessage(msgspec.Struct, forbid_unknown_fields=True):
    """The message of that id."""

    message: str


class Trace(msgspec.Struct, forbid_unknown_fields=True):
    """The newest messages of the one who asks, in the last `seconds`; `text` is an address, a part of one, a Message-ID."""

    text: Annotated[str, msgspec.Meta(max_length=300)] = ""
    seconds: Annotated[float, msgspec.Meta(ge=1, le=MAX_TRACED)] = MAX_TRACED / 4
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 50


class OwnerVerbs:
    """The verbs' functions; they run in threads."""

    def __init__(
        self,
        runner: QueueRunner,
        folder: QueueFolder,
        state: QueueState,
        log_in: LogIn,
        trusted: frozenset[int],
        loop: asyncio.AbstractEventLoop,
        trail: Path | None = None,
    ) -> None:
        """`trusted`: uids of the service and of its web front end, who say where a person sits; `trail`: the folder of
        the stories of messages, None = none are kept."""
        self._runner, self._folder, self._state = runner, folder, state
        self._log_in, self._trusted, self._loop = log_in, trusted, loop
        self._trail = trail
        self._reading = threading.Lock()  # a look through the trail takes long: one at a time

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table."""
        return {
            "own-queue-list": Verb(Right.OWN, self._list, List),
            "own-queue-drop": Verb(Right.OWN, self._drop, OneMessage),
            "own-trace": Verb(Right.OWN, self._trace, Trace),
        }

    def _in_loop(self, work: Awaitable[T]) -> T:
        async def run() -> T:
            return await work

        try:
            return asyncio.run_coroutine_threadsafe(run(), self._loop).result(ANSWER_SECONDS)
        except TimeoutError:
            raise VerbError("the queue runner is busy, try again", 4) from None

    def owner(self, caller: Caller, log_in: LogIn | None = None) -> str:
        """The entry or user of the host who asks, proven by `log_in`. Raises VerbError, Deferred."""
        claim = caller.claim
        if claim is None:
            return unix_owner(caller.uid)
        if not claim.login:
            raise VerbError("a login is needed, with its password or a session token", 2)
        # where a person sits is believed of the service's own processes only
        near = caller.uid in self._trusted
        address = claim.address if near else LOCAL
        try:
            return self._in_loop(
                (log_in or self._log_in)(claim.login, claim.password or claim.token, address, near)
            ).account
        except Refused as error:
            raise VerbError(f"{claim.login}: {error.text}", 5) from None
        except Deferred as error:  # why not now is the operator's business: it is in the log
            raise VerbError(f"{claim.login}: {error.text}", 4) from None

    def _read(self, owner: str, message: str) -> QueuedEnvelope:
        """The envelope of a message of this owner's. Raises VerbError."""
        try:
            envelope = self._folder.read(message) if message and "/" not in message else None
        except (FileNotFoundError, IsADirectoryError, Damaged, ValueError):
            envelope = None
        except OSError as error:
            raise VerbError(f"{message}: {error.strerror}", 4) from None
        if envelope is None or not envelope.owner or envelope.owner != owner:
            raise VerbError(f"no message {message} of yours waits", 1)
        return envelope

    def _list(self, caller: Caller, wanted: List) -> list[dict[str, Any]]:
        owner = self.owner(caller)
        found, room = [], MAX_ANSWER
        for message in self._state.owned(owner, wanted.limit):
            try:
                envelope = self._read(owner, message)
            except VerbError:
                continue  # delivered a moment ago
            shown = for_owner(envelope, self._state.targets(message))
            room -= len(msgspec.json.encode(shown))
            if room < 0:
                break
            if shown["targets"]:
                found.append(shown)
        return found

    def _trace(self, caller: Caller, wanted: Trace) -> list[dict[str, Any]]:
        owner, now = self.owner(caller), time.time()
        if self._trail is None:
            return []
        try:
            with self._reading:
                found = search_own(
                    self._trail, owner, wanted.text, since=now - wanted.seconds, until=now, limit=wanted.limit
                )
        except OSError as error:
            raise VerbError(f"what happened to messages cannot be read: {error.strerror}", 4) from None
        room = MAX_ANSWER
        for number, story in enumerate(found):
            room -= len(msgspec.json.encode(story))
            if room < 0:
                return found[:number]
        return found

    def _drop(self, caller: Caller, wanted: OneMessage) -> dict[str, Any]:
        owner, message = self.owner(caller), wanted.message

        async def drop() -> dict[str, Any]:
            envelope = self._read(owner, message)
            rows = self._state.targets(message)
            if self._runner.is_tried(message):
                raise VerbError(f"{message}: too late, it is being delivered at this moment", 1)
            done = sum(row.state == DONE for row in rows)
            if rows and all(row.is_final for row in rows):
                raise VerbError(f"{message}: too late, it is delivered", 1)
            try:
                self._runner.drop(message)
            except OSError as error:
                raise VerbError(f"{message}: {error.strerror}", 4) from None
            return {"message": message, "targets": len(envelope.targets) - done, "delivered": done}

        result = self._in_loop(drop())
        by = owner if caller.claim is None else caller.claim.login
        maillog.queue_changed(id=message, what="drop", targets=result["targets"], by=by)
        return result
