"""The agent's login socket: answers the workers' questions, many at a time on each connection.

A line that is no request is answered and skipped, so one bad client's input never ends the connection that
all sessions of a worker share.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from directory.authenticator import Authenticator
from directory.model import Condition, Deferred, Refused
from gateway.observe.log import fields
from gateway.service.agent_protocol import MAX_LINE, Answer, Request

THREADS = 8  # more than the directory takes binds at a time: what is remembered is answered meanwhile
MAX_PENDING = 1000  # questions of all workers; beyond it the answer is "not now"
#: no failure is answered sooner: the time would tell whether a login exists and whether a password was tried before
FAILURE_SECONDS = 0.1
_log = logging.getLogger("gatepost.agent")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Request).decode


class LoginServer:
    """One in the agent."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="auth")
        self._writers: set[asyncio.StreamWriter] = set()
        self._pending: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self, path: Path) -> asyncio.Server:
        """Listen on `path`; the group may connect."""
        self._loop = asyncio.get_running_loop()
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._serve, str(path), limit=MAX_LINE)
        path.chmod(0o660)
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                try:
                    request = _decode(line)
                except msgspec.DecodeError as error:
                    _log.warning("%s", fields(event="bad-request", detail=str(error)))
                    continue  # its sender gets no answer and gives up by itself
                if len(self._pending) >= MAX_PENDING:
                    self._send(writer, _answer(request.id, Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "too busy")))
                    continue
                task = asyncio.create_task(self._answer(writer, request))
                self._pending.add(task)
                task.add_done_callback(self._pending.discard)
                await writer.drain()
        except (ValueError, ConnectionError):
            _log.warning("%s", fields(event="login-connection-lost"))
        except asyncio.CancelledError:
            pass  # the agent stops
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, request: Request) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        try:
            delay = self._authenticator.delay(request.address)
            if delay:
                await asyncio.sleep(delay)
            answer = await loop.run_in_executor(self._pool, self._prove, request)
            if answer.condition:
                await asyncio.sleep(begin + delay + FAILURE_SECONDS - loop.time())
        except Deferred as error:
            answer = _answer(request.id, error)
        except Exception:
            _log.exception("%s", fields(event="bug", where="authenticator"))
            answer = _answer(request.id, Deferred(Condition.AUTHENTICATION_UNAVAILABLE, "bug"))
        self._send(writer, answer)

    def _prove(self, request: Request) -> Answer:
        try:
            proof = self._authenticator.prove(
                request.login, request.password, request.service, request.address, near=request.near
            )
        except (Deferred, Refused) as error:
            return _answer(request.id, error)
        return Answer(request.id, account=proof.login.account, method=proof.login.method, until=proof.until)

    @staticmethod
    def _send(writer: asyncio.StreamWriter, answer: Answer) -> None:
        if not writer.is_closing():
            writer.write(_encode(answer) + b"\n")

    async def finish(self, seconds: float) -> None:
        """Answer what was asked, at most so long: the agent ends, and its successor knows nothing of it."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=seconds)
        for writer in self._writers:
            writer.close()

    def flush(self) -> None:
        """Forget what is remembered of logins, here and in every worker. From any thread."""
        self._authenticator.flush()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell_workers)

    def forget_successes(self) -> None:
        """Every login is looked at again, by the workers too. From any thread."""
        self._authenticator.forget_successes()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell_workers)

    def _tell_workers(self) -> None:
        for writer in self._writers:
            self._send(writer, Answer(0, flush=True))


def _answer(number: int, error: Deferred | Refused) -> Answer:
    return Answer(number, condition=error.condition.name, detail=str(error)[:1000])
