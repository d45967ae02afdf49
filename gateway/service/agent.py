"""The agent process: follows the directory, writes the replica, checks logins."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from directory.authenticator import BindAuthenticator
from directory.connection import Servers
from directory.follow import Follower
from directory.model import Condition, Deferred, Refused
from directory.profile import Profile
from directory.replica import ReplicaWriter
from directory.tracker.choose import tracker_for
from directory.view import View
from gateway.config.settings import Settings
from gateway.control.server import ControlServer
from gateway.observe.log import fields
from gateway.service.agent_protocol import MAX_LINE, Answer, Request
from gateway.service.pulse import Pulse
from gateway.service.single import only_one

_log = logging.getLogger("gatepost.agent")


class Agent:
    """One a host."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        profile = Profile.of(settings.directory)
        self._servers = Servers(settings.directory)
        self._tracker = tracker_for(settings.directory, self._servers, profile)
        self.writer = ReplicaWriter(Path(settings.state_dir) / "replica", profile, scope=settings.directory.scope)
        view = View(self.writer.reader(), profile, settings.defaults)
        self._authenticator = BindAuthenticator(view, self._servers)
        self._auth_lock = threading.Lock()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="auth")
        self._stopping = threading.Event()

    def track(self) -> None:
        """Follow the directory until stopped; runs in its own thread."""
        Follower(self._tracker, self.writer, self._report).run(self._stopping)

    @staticmethod
    def _report(level: int, event: str, *, exc_info: BaseException | None = None, **facts: object) -> None:
        _log.log(level, "%s", fields(event=event, **facts), exc_info=exc_info)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One worker's connection."""
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()

        async def answer(request: Request) -> None:
            result = await loop.run_in_executor(self._pool, self._check, request)
            writer.write(msgspec.json.encode(result) + b"\n")

        try:
            while line := await reader.readline():
                task = loop.create_task(answer(msgspec.json.decode(line, type=Request)))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        except asyncio.CancelledError:
            pass  # the agent stops
        finally:
            writer.close()

    def _check(self, request: Request) -> Answer:
        try:
            login = self._authenticator.authenticate(request.login, request.password, request.service, request.address)
        except (Deferred, Refused) as error:
            return Answer(request.id, condition=error.condition.name, detail=str(error))
        except Exception:
            _log.exception("%s", fields(event="bug", where="authenticator"))
            return Answer(request.id, condition=Condition.AUTHENTICATION_UNAVAILABLE.name, detail="bug")
        return Answer(request.id, account=login.account, method=login.method)

    def stop(self) -> None:
        self._stopping.set()
        self._tracker.stop()


def run(settings: Settings, pulse: Pulse) -> None:
    """The process's life. Holds state/agent.lock, so an orphan and a new agent never write together."""
    state = Path(settings.state_dir)
    only_one(state / "agent.lock")
    agent = Agent(settings)
    tracking = threading.Thread(target=agent.track, name="tracker", daemon=True)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        path = Path(settings.run_dir) / "agent.sock"
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(agent.serve, str(path), limit=MAX_LINE)
        path.chmod(0o660)
        control = ControlServer({"accept-deletions": lambda args: agent.writer.accept_deletions()})
        control_server = await control.start(Path(settings.run_dir) / "control.sock")
        tracking.start()
        pulse.start(stop.set)
        pulse.ready()
        await stop.wait()
        agent.stop()
        server.close()
        control_server.close()

    asyncio.run(main())
    tracking.join(3)
    os._exit(0)  # the pools' threads may hang in a dead server's answer
