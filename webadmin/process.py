"""The web front end's process under the master: HTTP on the inherited socket, a pulse beside it, an end without haste."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from functools import partial
from pathlib import Path

from gateway.config.settings import Settings
from gateway.observe.log import fields
from gateway.service.admission import Networks
from gateway.service.identity import WEB_FOLDER
from gateway.service.pulse import Pulse
from gateway.service.sessions import first_of
from gateway.service.sockets import Sockets
from gateway.service.tls import Certificates
from webadmin.app import create_app
from webadmin.https import Door
from webadmin.serving import HttpServer
from webadmin.setup.offered import offer

_log = logging.getLogger("gatepost.web")


def run(settings: Settings, sockets: Sockets, pulse: Pulse) -> None:
    """Serve until told to stop, or to drain because a successor serves the same socket. Raises OSError."""
    web = settings.web
    app = create_app(web, Path(settings.run_dir), Path(settings.state_dir) / WEB_FOLDER, settings.hostname)
    offer(app, settings)
    ((_, _, sock),) = sockets
    is_tls = web.tls == "implicit"
    server = HttpServer(
        app,
        sock,
        threads=web.threads,
        max_request=web.max_request,
        is_tls=is_tls,
        proxies=Networks(web.trusted_proxies),
    )

    async def main() -> None:
        stop, drain = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        door = None
        if is_tls:
            certificates = Certificates(settings.tls.cert, settings.tls.key)
            certificates.watch()
            proxies = Networks((*web.trusted_proxies, *settings.limits.exempt_networks))
            door = await Door(server, certificates, settings.limits.handshake_timeout, proxies).start(sock)
        server.start()
        pulse.start(stop.set, drain.set, server.connections)
        pulse.ready()
        _log.info("%s", fields(event="serving-web", listen=web.listen, tls=web.tls))
        await first_of(stop, drain)
        if door is not None:
            door.close()
        limits = settings.processes
        if not stop.is_set():
            ended = loop.run_in_executor(None, server.finish, limits.drain_timeout)
            stopped: asyncio.Future[bool] = asyncio.create_task(stop.wait())
            await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not await loop.run_in_executor(None, partial(server.finish, limits.stop_timeout, idle=0.0)):
            _log.warning("%s", fields(event="web-cut", connections=server.connections()))

    asyncio.run(main())
    os._exit(0)  # threads may wait for other processes that end too
