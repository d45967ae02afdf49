"""The agent process: follows the directory, writes the replica, checks logins."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from directory.authenticator import BindAuthenticator
from directory.connection import Servers
from directory.model import Condition, Deferred, Refused
from directory.profile import Profile
from directory.replica import ReplicaWriter
from directory.tracker.port import Changed, Event, Refreshed
from directory.tracker.syncrepl import StaleCookie, SyncreplTracker
from directory.view import View
from gateway.config.settings import Settings
from gateway.observe.log import fields
from gateway.service.agent_protocol import MAX_LINE, Answer, Request

RETRY_SECONDS = 1.0
_log = logging.getLogger("gatepost.agent")


class Agent:
    """One a host."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        profile = Profile.load(settings.directory.profile)
        self._servers = Servers(settings.directory)
        self._tracker = SyncreplTracker(settings.directory, self._servers)
        self.writer = ReplicaWriter(Path(settings.state_dir) / "replica", profile)
        view = View(self.writer.reader(), profile, settings.defaults)
        self._authenticator = BindAuthenticator(view, self._servers)
        self._auth_lock = threading.Lock()
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="auth")
        self._stopping = threading.Event()

    def track(self) -> None:
        """Follow the directory until stopped; runs in its own thread."""
        while not self._stopping.is_set():
            cookie = self.writer.cookie()
            try:
                try:
                    for event in self._tracker.events(cookie):
                        self._apply(event)
                except StaleCookie as stale:
                    _log.info("%s", fields(event="refresh", reason=str(stale)))
                    for event in self._tracker.events(None):
                        self._apply(event)
            except Deferred as error:
                _log.warning("%s", fields(event="directory-lost", detail=error.detail))
            except Exception:
                _log.exception("%s", fields(event="bug", where="tracker"))
            self._stopping.wait(RETRY_SECONDS)

    def _apply(self, event: Event) -> None:
        now = time.time()
        if isinstance(event, Refreshed):
            deleted = set(event.deleted)
            if event.present is not None:
                deleted |= self.writer.ids() - event.present
            self.writer.apply(event.changed, deleted, event.cookie, now, complete=True)
            _log.info("%s", fields(event="refreshed", changed=len(event.changed), deleted=len(deleted)))
        elif isinstance(event, Changed):
            put = [event.entry] if event.entry is not None else []
            self.writer.apply(put, [] if event.entry is not None else [event.id], event.cookie, now)
        else:
            self.writer.apply((), (), None, now)

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


def run(settings: Settings) -> None:
    """The process's life. Holds state/agent.lock, so an orphan and a new agent never write together."""
    state = Path(settings.state_dir)
    lock = os.open(state / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
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
        tracking.start()
        await stop.wait()
        agent.stop()
        server.close()

    asyncio.run(main())
    tracking.join(3)
    os._exit(0)  # the pools' threads may hang in a dead server's answer
