"""The whole configuration: each package's own section, put together here and nowhere else."""

from __future__ import annotations

import msgspec

from directory.authenticator import AuthSettings
from directory.connection import DirectorySettings
from directory.effective import Defaults
from gateway.imap.settings import ImapSettings
from gateway.queue.settings import QueueSettings
from gateway.route.settings import RouteSettings
from gateway.smtp.settings import SmtpSettings
from gateway.store.settings import StoreSettings


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One listening socket."""

    port: int
    address: str = "127.0.0.1"
    tls: str = "starttls"


class TlsFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Certificate chain and key, PEM."""

    cert: str = ""
    key: str = ""


class Relay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where mail for outside goes."""

    smarthost: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration file."""

    state_dir: str
    run_dir: str
    directory: DirectorySettings
    store: StoreSettings
    hostname: str = "localhost"
    listen: dict[str, tuple[Listener, ...]] = {}
    workers: int = 2
    tls: TlsFiles = TlsFiles()
    auth: AuthSettings = AuthSettings()
    defaults: Defaults = Defaults()
    relay: Relay = Relay()
    route: RouteSettings = RouteSettings()
    queue: QueueSettings = QueueSettings()
    smtp: SmtpSettings = SmtpSettings()
    imap: ImapSettings = ImapSettings()
