"""What the pages of this folder need to know of the configuration, given to the application at its start."""

from __future__ import annotations

from flask import Flask

from gateway.config.settings import Settings
from webadmin.setup.apple import signer
from webadmin.setup.services import services


def offer(app: Flask, settings: Settings) -> None:
    """The table of services, and the signer of profiles where this process holds the certificate's key."""
    app.extensions["gatepost_configuration"] = settings
    app.extensions["gatepost_services"] = services(settings)
    app.extensions["gatepost_signer"] = signer(settings.tls.cert, settings.tls.key) if settings.tls.cert else None
