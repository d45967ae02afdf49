"""The service's side of the admin socket: who asks is known from the kernel (SO_PEERCRED), not from what he says."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from directory.model import Deferred
from gateway.control.protocol import MAX_LINE, Reply, Request

#: a verb gets its arguments and returns what can be written as JSON; it runs in a thread
Verb: TypeAlias = Callable[[dict[str, Any]], Any]
_CREDENTIALS = struct.Struct("3i")
_log = logging.getLogger("gatepost.control")


def peer_uid(writer: asyncio.StreamWriter) -> int:
    """The uid at the other end of a unix socket."""
    sock: socket.socket = writer.get_extra_info("socket")
    return int(_CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1])


class ControlServer:
    """Serves `verbs` to root and to the uid that the service runs as."""

    def __init__(self, verbs: Mapping[str, Verb]) -> None:
        self._verbs = dict(verbs)
        self._allowed = {0, os.getuid()}

    async def start(self, path: Path) -> asyncio.Server:
        """Listen on `path`; nobody else can connect before its mode is set."""
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(self._serve, str(path), limit=MAX_LINE)
        finally:
            os.umask(before)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        uid = peer_uid(writer)
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await self._answer(uid, line)) + b"\n")
                await writer.drain()
        except (ValueError, ConnectionError, asyncio.CancelledError):
            pass  # a line over the limit, a client that left, the end of the service
        finally:
            writer.close()

    async def _answer(self, uid: int, line: bytes) -> Reply:
        try:
            request = msgspec.json.decode(line, type=Request)
        except msgspec.DecodeError as error:
            return Reply(0, error=f"not a request: {error}", code=2)
        verb = self._verbs.get(request.verb)
        if uid not in self._allowed:
            return Reply(request.id, error="only root and the service's own user may ask", code=5)
        if verb is None:
            return Reply(request.id, error=f"unknown verb; there is {', '.join(sorted(self._verbs))}", code=2)
        try:
            return Reply(request.id, await asyncio.to_thread(verb, request.args))
        except Deferred as error:
            return Reply(request.id, error=error.detail or error.text, code=4)
        except Exception:
            _log.exception("control verb %s", request.verb)
            return Reply(request.id, error="internal error, see the log", code=70)
