"""The process of the queue: one a host, holding `queue.lock` for its life."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable
from functools import partial
from pathlib import Path

import uvloop

from directory.port import Login
from gateway.config.settings import Settings
from gateway.control.server import ControlServer
from gateway.observe import log
from gateway.queue.state import QueueState
from gateway.queue.wake import bell, heard, kept
from gateway.service.application_mail import ApplicationMail
from gateway.service.brake_desk import BrakeDesk
from gateway.service.configuration_verb import ConfigurationVerb
from gateway.service.dkim_verbs import DkimVerbs
from gateway.service.doctor_verb import AddressDoctor
from gateway.service.domain_dns import DnsVerb
from gateway.service.domain_sums import sum_for_ever
from gateway.service.domain_verb import DomainVerb
from gateway.service.drop_sweep import DropSweep
from gateway.service.expunged_verbs import ExpungedVerbs
from gateway.service.host import Host
from gateway.service.identity import resolve
from gateway.service.instructions import RuleDesk
from gateway.service.journal_recovery import recover_at_start, recover_for_ever
from gateway.service.list_desk import make_desk
from gateway.service.list_leaving import LeavingVerbs
from gateway.service.list_mailer import ListMailer
from gateway.service.log_verb import LogVerb
from gateway.service.login import log_in
from gateway.service.mail_control import MAIL_SOCKET, MailVerbs
from gateway.service.metrics_files import Publisher
from gateway.service.outbound import Outbound
from gateway.service.overview_verb import OverviewVerb
from gateway.service.owner_verbs import OWNER_SOCKET, OwnerVerbs
from gateway.service.program_client import Programs
from gateway.service.pulse import Pulse
from gateway.service.queue_desk import QueueDesk
from gateway.service.queue_runner import QueueRunner
from gateway.service.queue_steps import QueueSteps
from gateway.service.queue_verbs import QueueVerbs
from gateway.service.quota_use import QuotaVerb
from gateway.service.runner_actors import Actors
from gateway.service.sampling import Sampler, sample_for_ever
from gateway.service.search_build import build_for_ever
from gateway.service.selftest.clean import SelftestVerbs
from gateway.service.sending_watch import STOPPED
from gateway.service.signing import FOLDER as DKIM_FOLDER
from gateway.service.signing import Signing
from gateway.service.single import only_one
from gateway.service.srs_keys import make_srs
from gateway.service.trace_verb import TraceVerb
from gateway.service.trail import keep_trail, purge_for_ever, trail_folder
from gateway.service.upkeep import tend_for_ever


def _log_in(host: Host, service: str, name: str, password: str, address: str, near: bool) -> Awaitable[Login]:
    """Prove who asks, by what lets him in at a service."""
    return log_in(host, None, service, address, name, password, near=near)


def run(settings: Settings, pulse: Pulse) -> None:
    """The process's life. Holds `queue.lock`, so that no second runner works on the same queue."""
    from gateway.service.worker import make_host

    state_dir = Path(settings.state_dir)
    only_one(state_dir / "queue.lock")

    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        host = make_host(settings, settings.workers, serves=True)
        sock = bell(Path(settings.run_dir) / "queue.sock")
        await recover_at_start(host)
        keep_trail(settings, "queue", loop)
        log.gather(loop.call_soon)
        outbound = Outbound(settings)
        signing = Signing(host.directory, state_dir / DKIM_FOLDER)
        desk = make_desk(host, outbound.resolver, signing)
        state = QueueState(state_dir / "queue.db")
        steps = QueueSteps(
            host.router,
            host.delivery.deliver,
            outbound.courier,
            settings.queue,
            time.time,
            settings.relay,
            desk,
            RuleDesk(
                host.queue,
                Programs(Path(settings.run_dir), settings.programs),
                host.router,
                Path(settings.run_dir) / "queue.sock",
            ),
            make_srs(settings, signs=True),
            signing,
        )
        # what a crash left half moved into the queue is settled before the queue delivers it
        desk.moderation.recover()
        drop = DropSweep(settings, host.queue, host.router, host.journals)
        await drop.try_sweep()
        runner = QueueRunner(host.queue, state, steps, settings.queue, host.reporter, watch=host.watch)
        brakes = BrakeDesk(
            host.watch.brakes,
            host.watch.facts,
            runner,
            host.queue,
            state,
            host.directory,
            settings.hostname,
            Path(settings.run_dir) / "queue.sock",
        )
        actors = Actors(host.directory, settings.directory.rights, host.authenticator, loop)
        queue_verbs = QueueVerbs(runner, host.queue, state, settings.queue, loop)
        trail = trail_folder(settings) if settings.trace.keep else None
        sampler = Sampler(host)
        verbs = {
            **MailVerbs(host.lists.state, state_dir / "lists.db", desk.moderation, actors).verbs(),
            **ApplicationMail(
                ListMailer(host.directory, host.queue, Path(settings.run_dir) / "queue.sock", settings.hostname),
                settings.web.url,
                actors,
            ).verbs(),
            **DomainVerb(host.directory, actors).verbs(),
            **DnsVerb(
                host.directory, actors, outbound.resolver, settings.hostname, state_dir, settings.tls.cert
            ).verbs(),
            **QuotaVerb(host.directory, host.stores.repository if host.stores.has_index else None, actors).verbs(),
            **LeavingVerbs(host.directory, host.lists, desk.subscription, actors).verbs(),
            **queue_verbs.verbs(),
            **QueueDesk(queue_verbs, host.queue, state_dir / "queue.db", actors).verbs(),
            **TraceVerb(trail, actors).verbs(),
            **AddressDoctor(settings, host.directory, actors).verbs(),
            **OverviewVerb(host, sampler, actors).verbs(),
            **ConfigurationVerb(settings, actors).verbs(),
            **LogVerb(actors).verbs(),
            **DkimVerbs(host.directory, actors, state_dir).verbs(),
            **SelftestVerbs(host).verbs(),
            **brakes.verbs(),
        }
        web = resolve(settings.run_as.web).uid if settings.run_as.web else os.getuid()
        control = await ControlServer(verbs, others={web} - {os.getuid()}).start(Path(settings.run_dir) / MAIL_SOCKET)
        owners = OwnerVerbs(
            runner,
            host.queue,
            state,
            partial(_log_in, host, "submission"),
            frozenset({0, os.getuid(), web}),
            loop,
            trail,
        )
        expunged = ExpungedVerbs(
            host.stores, host.directory, partial(owners.owner, log_in=partial(_log_in, host, "imap"))
        )
        own_verbs = {**owners.verbs(), **expunged.verbs()}
        own_control = await ControlServer(own_verbs, others=(web,), everybody=True).start(
            Path(settings.run_dir) / OWNER_SOCKET
        )
        most = kept()

        def rung() -> None:
            names = heard(sock, most)
            if STOPPED in names:
                brakes.wake()
            runner.wake(names)

        loop.add_reader(sock, rung)
        publisher = Publisher(Path(settings.run_dir))
        pulse.start(stop.set, also=publisher.publish)
        pulse.ready()
        tending = asyncio.ensure_future(tend_for_ever(host))
        building = asyncio.ensure_future(build_for_ever(host))
        purging = asyncio.ensure_future(purge_for_ever(settings))
        sampling = asyncio.ensure_future(sample_for_ever(host, sampler))
        summing = asyncio.ensure_future(sum_for_ever(host))
        sweeping = asyncio.ensure_future(drop.sweep_for_ever())
        recovering = asyncio.ensure_future(recover_for_ever(host))
        expiring = asyncio.ensure_future(desk.tend_for_ever())
        braking = asyncio.ensure_future(brakes.tend_for_ever())
        stopped = asyncio.ensure_future(stop.wait())
        working = asyncio.ensure_future(runner.serve(stop))
        await asyncio.wait((stopped, working), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((working,), timeout=settings.processes.stop_timeout)
        runner.cancel()
        working.cancel()
        tending.cancel()
        building.cancel()
        purging.cancel()
        recovering.cancel()
        expiring.cancel()
        braking.cancel()
        await host.watch.close()
        await outbound.close()
        control.close()
        own_control.close()
        sweeping.cancel()
        summing.cancel()
        sampling.cancel()
        if working.done():
            working.result()  # what ended it ends the process, and the master starts another one

    uvloop.run(main())
