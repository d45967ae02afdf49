"""The web front end as the master takes it: imported in its own process only, so that no other carries it."""

from __future__ import annotations

import importlib

from gateway.config.settings import Settings
from gateway.service.pulse import Pulse
from gateway.service.sockets import Sockets


class FrontEnd:
    """`webadmin`, which lies above everything in `gateway`."""

    def load(self) -> None:
        """Import it."""
        importlib.import_module("webadmin.process")
        importlib.import_module("webadmin.preload")

    def run(self, settings: Settings, sockets: Sockets, pulse: Pulse) -> None:
        """Serve until told to stop."""
        from webadmin.process import run

        run(settings, sockets, pulse)
