"""The web front end's process under the master: waitress on the inherited socket, a pulse beside it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from pathlib import Path

from waitress.server import create_server

from gateway.config.settings import Settings
from gateway.observe.log import fields
from gateway.service.identity import WEB_FOLDER
from gateway.service.pulse import Pulse
from gateway.service.sockets import Sockets
from webadmin.app import create_app

CHANNEL_SECONDS = 120  # a connection that is silent so long is closed
MAX_CONNECTIONS = 1000
MAX_HEADER = 65_536  # octets
_log = logging.getLogger("gatepost.web")


def run(settings: Settings, sockets: Sockets, pulse: Pulse) -> None:
    """Serve until told to stop. Raises OSError."""
    app = create_app(settings.web, Path(settings.run_dir), Path(settings.state_dir) / WEB_FOLDER, settings.hostname)
    server = create_server(
        app,
        sockets=[sock for _, _, sock in sockets],
        threads=settings.web.threads,
        channel_timeout=CHANNEL_SECONDS,
        connection_limit=MAX_CONNECTIONS,
        max_request_header_size=MAX_HEADER,
        max_request_body_size=settings.web.max_request,
        ident="",
        clear_untrusted_proxy_headers=False,  # proxies are judged in webadmin.client, by web.trusted_proxies
    )
    serving = threading.Thread(target=server.run, name="web", daemon=True)

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        serving.start()
        pulse.start(stop.set)
        pulse.ready()
        _log.info("%s", fields(event="serving-web", listen=settings.web.listen))
        await stop.wait()

    asyncio.run(main())
    os._exit(0)  # threads may wait for other processes that end too
