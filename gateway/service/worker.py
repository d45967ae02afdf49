"""A worker process: serves its share of every listener."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from pathlib import Path

import uvloop

from directory.model import Condition, Deferred
from directory.port import Directory
from directory.profile import Profile
from directory.replica import ReplicaReader
from directory.view import View
from gateway.config.settings import Settings
from gateway.observe.log import fields
from gateway.queue.brakes import BRAKES, Brakes
from gateway.queue.file import QueueFolder
from gateway.queue.grace import QuotaGrace
from gateway.queue.list_state import ListState
from gateway.queue.replied import Replied
from gateway.queue.sending_facts import SendingFacts
from gateway.route.router import Router
from gateway.service.accept import Acceptance
from gateway.service.agent_client import AgentClient
from gateway.service.checks import checks
from gateway.service.evicting import look_for_ever
from gateway.service.final_delivery import FinalDelivery
from gateway.service.host import Host
from gateway.service.journal import JournalDesk
from gateway.service.list_facts import HostListFacts
from gateway.service.listeners import Listeners
from gateway.service.metrics_files import Publisher
from gateway.service.notify import Hints
from gateway.service.pools import OTHER, Pools
from gateway.service.pulse import Pulse
from gateway.service.reporting import Reporter
from gateway.service.send_counter import SendCounter
from gateway.service.sending_watch import SendingWatch
from gateway.service.sessions import first_of
from gateway.service.sockets import Sockets
from gateway.service.srs_keys import make_srs
from gateway.service.trail import keep_trail
from gateway.service.vacation import Vacation
from gateway.store.domain_use import FILE as DOMAIN_SUMS
from gateway.store.domain_use import DomainUse
from gateway.store.sqlite import SqliteRepository
from gateway.store.stores import Stores

REPLICA_SECONDS = 60.0
_log = logging.getLogger("gatepost.worker")


def _open_replica(path: Path) -> ReplicaReader:
    """The agent makes the replica; a worker started with it waits for that."""
    deadline = time.monotonic() + REPLICA_SECONDS
    while True:
        try:
            return ReplicaReader.open(path)
        except Deferred:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def is_alive(directory: Directory, entry: str) -> bool:
    """False only when the directory is sure that it has no such entry. Raises Deferred when it cannot say."""
    if directory.by_id(entry) is not None:
        return True
    if not directory.freshness().absence_is_final(time.time()):
        raise Deferred(Condition.DIRECTORY_STALE, f"is {entry} still there?")
    return False


def _end() -> None:
    """Stop, so that the master starts a successor, which begins anew."""
    os.kill(os.getpid(), signal.SIGTERM)


def make_host(settings: Settings, number: int, *, serves: bool = False) -> Host:
    """Everything a worker's sessions share. `serves`: a process whose master starts another one when it ends."""
    state = Path(settings.state_dir)
    queue = QueueFolder(state / "queue", settings.queue)
    grace = QuotaGrace(state / "over_quota.db", settings.queue.quota_grace)
    directory = View(_open_replica(state / "replica"), Profile.of(settings.directory), settings.defaults)
    hints = Hints(Path(settings.run_dir) / "hints")
    pools = Pools(settings.store)
    stores = Stores(
        settings.store,
        SqliteRepository(state / "index", on_lost=_end if serves else None) if settings.role == "all" else None,
        number,
        on_change=hints.send,
        is_alive=lambda entry: is_alive(directory, entry),
        is_down=pools.is_down,
        over_soft=grace,
        domain_room=DomainUse(state / DOMAIN_SUMS, directory.domain),
    )
    bell = Path(settings.run_dir) / "queue.sock"
    separators = settings.route.extension_separator
    vacation = Vacation(directory, Replied(state / "replied.db"), queue, bell, settings.hostname, separators)
    delivery = FinalDelivery(stores, grace, vacation, settings.web.url)
    lists = HostListFacts(ListState(state / "lists.db"), state / "lists.key")
    router = Router(
        directory, settings.route, host_names=(settings.hostname,), lists=lists, srs=make_srs(settings, signs=False)
    )
    reporter = Reporter(
        queue, router, settings.bounce, hostname=settings.hostname, bell=bell, lifetime=settings.queue.lifetime
    )
    journals = JournalDesk(directory, queue, bell, settings.hostname, lambda: lists.key)
    return Host(
        settings,
        directory,
        router,
        stores,
        AgentClient(Path(settings.run_dir) / "agent.sock", directory),
        pools,
        queue,
        grace,
        delivery,
        Acceptance(stores, queue, grace, delivery, reporter, bell, journals),
        reporter,
        checks(settings, pools),
        hints,
        lists,
        SendCounter(state / "send-limits.db"),
        journals,
        SendingWatch(
            directory,
            Brakes(state / BRAKES),
            SendingFacts(state / "sending.db", settings.brake.history),
            settings.brake,
            pools.of(OTHER).run,
            bell,
        ),
    )


def run(settings: Settings, number: int, sockets: Sockets, pulse: Pulse) -> None:
    """The process's life: serve until told to stop, or to drain because a successor serves the same sockets."""

    async def main() -> None:
        stop, drain = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, stop.set)
        host = make_host(settings, number, serves=True)
        try:
            host.hints.listen(host.open_mailboxes.hint)
        except OSError as error:  # sessions look by themselves, only later
            _log.warning("%s", fields(event="no-hints", detail=str(error)))
        publisher = Publisher(Path(settings.run_dir))  # before anything is counted
        keep_trail(settings, f"worker-{number}")
        listeners = Listeners(host)
        servers = await listeners.start(sockets)
        evicting = asyncio.ensure_future(look_for_ever(host.directory, listeners.admission))
        pulse.start(stop.set, drain.set, lambda: len(host.sessions), publisher.publish)
        pulse.ready()
        if settings.smtp.open_relay != "no":
            _log.error("%s", fields(event="open-relay", detail="port 25 takes mail of everybody for everywhere"))
        _log.info("%s", fields(event="serving", listeners=len(servers)))
        await first_of(stop, drain)
        for server in servers:
            server.close()
        if not stop.is_set():
            _log.info("%s", fields(event="draining", sessions=len(host.sessions)))
            await host.sessions.ended(settings.processes.drain_timeout, stop)
        evicting.cancel()
        host.sessions.retire()
        await host.sessions.ended(settings.processes.stop_timeout)
        await host.watch.close()
        host.hints.close()
        host.pools.shutdown()
        host.stores.close()
        host.send_counter.close()
        publisher.publish()

    uvloop.run(main())
