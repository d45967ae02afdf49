"""The service's side of the admin socket: who asks is known from the kernel (SO_PEERCRED), not from what he says.

Every verb declares its right and the form of its arguments. Root and the service's own user are the operator;
other users named at start may only act for a person that proves who he is. A server for everybody serves every
user of the host, but nothing except what belongs to the one who asks.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from directory.model import Deferred
from gateway.control.protocol import MAX_LINE, Claim, Reply, Request

MAX_CONNECTIONS = 64
MAX_OF_A_USER = 8  # connections of one who is neither operator nor service, to a server for everybody
IDLE_SECONDS = 120.0
THREADS = 8
_CREDENTIALS = struct.Struct("3i")
_log = logging.getLogger("gatepost.control")


class Right(Enum):
    """Who may use a verb."""

    OPERATE = "the operator only"
    ACT = "the operator, or a person within his rights in the directory"
    SERVE = "the operator and the other processes of the service"
    OWN = "whoever it belongs to"
    FRONT = "the operator and the web front end"


class VerbError(Exception):
    """The answer is no; the message is for the person who asked, `code` the exit code that says why."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class NoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of verbs that need none."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the uid at the other end, and the person he speaks for (None = for himself, the operator)."""

    uid: int
    claim: Claim | None


@dataclass(frozen=True, slots=True)
class Verb:
    """One row of the table. `run` gets arguments of type `arguments`, answers what can be written as JSON, in a
    thread; it raises VerbError or Deferred."""

    right: Right
    run: Callable[[Caller, Any], Any]
    arguments: type[msgspec.Struct] = NoArguments


def peer_uid(transport: asyncio.BaseTransport) -> int:
    """The uid at the other end of a unix socket."""
    sock: socket.socket = transport.get_extra_info("socket")
    return int(_CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1])


class ControlServer:
    """Serves `verbs` to root and to the uid that the service runs as, those with Right.ACT and
    Right.FRONT to `others`, those with Right.SERVE to `services`, the uids of the service's other processes, those with Right.OWN to every user of the
    host when it is for `everybody`."""

    def __init__(
        self,
        verbs: Mapping[str, Verb],
        others: Collection[int] = (),
        services: Collection[int] = (),
        *,
        everybody: bool = False,
    ) -> None:
        self._verbs = dict(verbs)
        self._operators = {0, os.getuid()}
        self._others, self._services = frozenset(others), frozenset(services)
        self._everybody = everybody
        self._connections = 0
        self._of_users: dict[int, int] = {}
        # of its own: who asks much keeps nobody but others who ask waiting
        self._threads = ThreadPoolExecutor(THREADS, "control")

    async def start(self, path: Path) -> asyncio.Server:
        """Listen on `path`; nobody else can connect before its mode is set."""
        path.unlink(missing_ok=True)
        open_to_all = self._everybody or self._others  # these need not be of our group; who it is tells the kernel
        before = os.umask(0o111 if open_to_all else 0o117 if self._services else 0o177)
        try:
            return await asyncio.start_unix_server(self._serve, str(path), limit=MAX_LINE)
        finally:
            os.umask(before)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = peer_uid(writer.transport)
        if uid not in self._operators | self._others | self._services and not self._everybody:
            self._write(writer, Reply(0, error="only root and the service's own user may ask", code=5))
            writer.close()
            return
        self._connections += 1
        self._of_users[uid] = self._of_users.get(uid, 0) + 1
        try:
            too_many = (
                self._of_users[uid] > MAX_OF_A_USER and uid not in self._operators | self._others | self._services
            )
            if too_many or self._connections > MAX_CONNECTIONS:
                self._write(writer, Reply(0, error="too many connections to the control socket", code=4))
                return
            while line := await asyncio.wait_for(reader.readline(), IDLE_SECONDS):
                self._write(writer, await self._answer(uid, line))
                await writer.drain()
        except (ValueError, ConnectionError, TimeoutError, asyncio.CancelledError):
            pass  # a line over the limit, a client that left or fell silent, the end of the service
        finally:
            self._connections -= 1
            self._of_users[uid] -= 1
            if not self._of_users[uid]:
                del self._of_users[uid]
            writer.close()

    @staticmethod
    def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
        line = msgspec.json.encode(reply) + b"\n"
        if len(line) > MAX_LINE:
            line = msgspec.json.encode(Reply(reply.id, error="the answer is too long", code=70)) + b"\n"
        writer.write(line)

    async def _answer(self, uid: int, line: bytes) -> Reply:
        try:
            request = msgspec.json.decode(line, type=Request)
        except msgspec.DecodeError as error:
            return Reply(0, error=f"not a request: {error}", code=2)
        verb = self._verbs.get(request.verb)
        if verb is None:
            return Reply(request.id, error=f"unknown verb; there is {', '.join(sorted(self._verbs))}", code=2)
        is_service = uid in self._services and verb.right is Right.SERVE and request.actor is None
        is_person = uid in self._others and verb.right is Right.ACT and request.actor is not None
        is_front = uid in self._others and verb.right is Right.FRONT and request.actor is None
        is_owner = self._everybody and verb.right is Right.OWN
        if uid not in self._operators and not (is_service or is_person or is_owner or is_front):
            return Reply(request.id, error=f"{request.verb} is for {verb.right.value}", code=5)
        if request.actor is not None and verb.right not in (Right.ACT, Right.OWN):
            return Reply(request.id, error=f"{request.verb} is for {verb.right.value}", code=5)
        try:
            arguments = msgspec.convert(request.args, verb.arguments)
        except msgspec.ValidationError as error:
            return Reply(request.id, error=f"{request.verb}: {error}", code=2)
        try:
            loop = asyncio.get_running_loop()
            run = partial(verb.run, Caller(uid, request.actor), arguments)
            return Reply(request.id, await loop.run_in_executor(self._threads, run))
        except Deferred as error:
            return Reply(request.id, error=error.detail or error.text, code=4)
        except VerbError as error:
            return Reply(request.id, error=str(error), code=error.code)
        except Exception:
            _log.exception("control verb %s", request.verb)
            return Reply(request.id, error="internal error, see the log", code=70)
