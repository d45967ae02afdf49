"""The service's side of the admin socket: who asks is known from the kernel (SO_PEERCRED), not from what he says.

Every verb declares its right and the form of its arguments. Root and the service's own user are the operator;
other users named at start may only act for a person that proves who he is.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from directory.model import Deferred
from gateway.control.protocol import MAX_LINE, Claim, Reply, Request

MAX_CONNECTIONS = 64
IDLE_SECONDS = 120.0
_CREDENTIALS = struct.Struct("3i")
_log = logging.getLogger("gatepost.control")


class Right(Enum):
    """Who may use a verb."""

    OPERATE = "the operator only"
    ACT = "the operator, or a person within his rights in the directory"
    SERVE = "the operator and the other processes of the service"


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
    """Serves `verbs` to root and to the uid that the service runs as, those with Right.ACT to `others`, those with
    Right.SERVE to `services`, the uids of the service's other processes."""

    def __init__(self, verbs: Mapping[str, Verb], others: Collection[int] = (), services: Collection[int] = ()) -> None:
        self._verbs = dict(verbs)
        self._operators = {0, os.getuid()}
        self._others, self._services = frozenset(others), frozenset(services)
        self._connections = 0

    async def start(self, path: Path) -> asyncio.Server:
        """Listen on `path`; nobody else can connect before its mode is set."""
        path.unlink(missing_ok=True)
        before = os.umask(0o117 if self._others or self._services else 0o177)
        try:
            return await asyncio.start_unix_server(self._serve, str(path), limit=MAX_LINE)
        finally:
            os.umask(before)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = peer_uid(writer.transport)
        self._connections += 1
        try:
            if self._connections > MAX_CONNECTIONS:
                self._write(writer, Reply(0, error="too many connections to the control socket", code=4))
                return
            while line := await asyncio.wait_for(reader.readline(), IDLE_SECONDS):
                self._write(writer, await self._answer(uid, line))
                await writer.drain()
        except (ValueError, ConnectionError, TimeoutError, asyncio.CancelledError):
            pass  # a line over the limit, a client that left or fell silent, the end of the service
        finally:
            self._connections -= 1
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
        if uid not in self._operators | self._others | self._services:
            return Reply(request.id, error="only root and the service's own user may ask", code=5)
        if verb is None:
            return Reply(request.id, error=f"unknown verb; there is {', '.join(sorted(self._verbs))}", code=2)
        is_service = uid in self._services and verb.right is Right.SERVE and request.actor is None
        is_person = uid in self._others and verb.right is Right.ACT and request.actor is not None
        if uid not in self._operators and not (is_service or is_person):
            return Reply(request.id, error=f"{request.verb} is for {verb.right.value}", code=5)
        if request.actor is not None and verb.right is not Right.ACT:
            return Reply(request.id, error=f"{request.verb} is for {verb.right.value}", code=5)
        try:
            arguments = msgspec.convert(request.args, verb.arguments)
        except msgspec.ValidationError as error:
            return Reply(request.id, error=f"{request.verb}: {error}", code=2)
        try:
            return Reply(request.id, await asyncio.to_thread(verb.run, Caller(uid, request.actor), arguments))
        except Deferred as error:
            return Reply(request.id, error=error.detail or error.text, code=4)
        except VerbError as error:
            return Reply(request.id, error=str(error), code=error.code)
        except Exception:
            _log.exception("control verb %s", request.verb)
            return Reply(request.id, error="internal error, see the log", code=70)
