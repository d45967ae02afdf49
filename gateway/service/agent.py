"""The agent process: follows the directory, writes the replica, checks logins."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from pathlib import Path

from directory.authenticator import Authenticator
from directory.authenticator_bind import BindPool
from directory.connection import Servers
from directory.follow import Follower
from directory.ldif_file import FileBinds, LdifFile
from directory.password_policy import Policies
from directory.profile import Profile
from directory.replica import ReplicaWriter
from directory.rights import Rights
from directory.state import State
from directory.tracker.choose import tracker_for
from directory.view import View
from directory.write import WritePort
from directory.write_journal import Journal
from directory.write_server import NoWriteServer, WriteServer
from gateway.config.settings import Settings
from gateway.control.server import ControlServer
from gateway.observe.log import fields
from gateway.service.agent_accounts import Accounts
from gateway.service.agent_address_book import AddressBook
from gateway.service.agent_applications import Applications
from gateway.service.agent_doctor import LoginDoctor
from gateway.service.agent_logins import LoginServer
from gateway.service.agent_oidc import CompanySignIn
from gateway.service.agent_passkeys import Passkeys
from gateway.service.agent_photo import Photos
from gateway.service.agent_preferences import PreferenceVerbs
from gateway.service.agent_program_tokens import ProgramTokens
from gateway.service.agent_reading import Reading
from gateway.service.agent_second_factor import SecondFactors
from gateway.service.agent_second_step import SecondSteps
from gateway.service.agent_self import SelfVerbs
from gateway.service.agent_subscriptions import Subscriptions
from gateway.service.agent_tokens import TokenVerbs
from gateway.service.agent_verbs import verbs
from gateway.service.identity import resolve
from gateway.service.pulse import Pulse
from gateway.service.single import only_one

FINISH_SECONDS = 3.0  # for logins under way when the agent ends
_log = logging.getLogger("gatepost.agent")


class Agent:
    """One a host."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        profile = Profile.of(settings.directory)
        self._servers = Servers(settings.directory)
        self._tracker = tracker_for(settings.directory, self._servers, profile)
        self.writer = ReplicaWriter(Path(settings.state_dir) / "replica", profile, scope=settings.directory.scope)
        self.follower = Follower(self._tracker, self.writer, self._report)
        view = View(self.writer.reader(), profile, settings.defaults)
        self._state = State.open(Path(settings.state_dir) / "state.db")
        if self._state.trouble:
            _log.error("%s", fields(event="state-unusable", detail=self._state.trouble))
        file = LdifFile.of(settings.directory)
        authenticator = Authenticator(
            view,
            FileBinds(file) if file is not None else BindPool(self._servers),
            self._state,
            Path(settings.state_dir) / "auth.key",
            settings.auth,
            exempt_networks=settings.limits.exempt_networks,
        )
        self.logins = LoginServer(authenticator)
        own_view = View(self.writer.reader(), profile, settings.defaults)  # a view serves one thread at a time
        port = WritePort(
            own_view,
            profile,
            Rights(own_view, settings.directory.rights),
            WriteServer.of(settings.directory) if file is None else NoWriteServer(),
            Journal(self._state),
        )
        self.accounts = Accounts(port, authenticator, settings.directory)
        self.own = SelfVerbs(
            self.accounts,
            authenticator,
            Policies(self._servers, settings.directory.base) if file is None else None,
        )
        self.preferences = PreferenceVerbs(self._state, self.accounts)
        reader = self.writer.reader()
        self.book = AddressBook(
            self.accounts,
            View(reader, profile, settings.defaults),
            reader.generation,
            settings.directory,
            service_keeps=settings.smtp.keep_sent_shared,
        )
        self.reading = Reading(self.accounts, settings.directory, reader.generation)
        self.applications = Applications(self._state, self.accounts, settings.web.sign_up)
        self.programs = ProgramTokens(authenticator.tokens, self.accounts, authenticator.now)
        passkeys = Passkeys(settings.web.url)
        self.tokens = TokenVerbs(authenticator, self.accounts, SecondSteps(authenticator, passkeys))
        self.company = CompanySignIn(settings.web.oidc, settings.web.url, self.accounts, self.tokens, authenticator.now)
        self.second_factors = SecondFactors(authenticator, self.accounts, passkeys, self.logins.forget_successes)
        self.doctor = LoginDoctor(
            View(self.writer.reader(), profile, settings.defaults),
            authenticator,
            self._servers if file is None else None,
            settings,
            self.accounts,
        )
        self._stopping = threading.Event()

    def track(self) -> None:
        """Follow the directory until stopped; runs in its own thread."""
        self.follower.run(self._stopping)

    @staticmethod
    def _report(level: int, event: str, *, exc_info: BaseException | None = None, **facts: object) -> None:
        _log.log(level, "%s", fields(event=event, **facts), exc_info=exc_info)

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
        server = await agent.logins.start(Path(settings.run_dir) / "agent.sock")
        mail = resolve(settings.run_as.mail) if settings.run_as.mail else None  # `identities` is for root
        web = resolve(settings.run_as.web) if settings.run_as.web else mail
        control = ControlServer(
            verbs(
                agent.writer,
                agent.logins,
                agent.follower,
                agent.accounts,
                agent.tokens,
                agent.applications,
                agent.programs,
                agent.company,
                agent.second_factors,
                agent.doctor,
                Subscriptions(agent.accounts, settings.directory),
                agent.reading,
                agent.book,
                agent.preferences,
                Photos(agent.accounts),
                agent.own,
            ),
            others=() if web is None or web.uid == os.getuid() else (web.uid,),
            services=() if mail is None or mail.uid == os.getuid() else (mail.uid,),
        )
        control_server = await control.start(Path(settings.run_dir) / "control.sock")
        tracking.start()
        pulse.start(stop.set)
        pulse.ready()
        await stop.wait()
        server.close()
        control_server.close()
        await agent.logins.finish(FINISH_SECONDS)
        agent.stop()

    asyncio.run(main())
    tracking.join(3)
    os._exit(0)  # the pools' threads may hang in a dead server's answer
