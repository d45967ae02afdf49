"""The whole configuration: each package's own section, put together here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from directory.authenticator_settings import AuthSettings
from directory.effective import Defaults
from directory.model.units import Port
from directory.settings import DirectorySettings
from gateway.deliver.program_settings import ProgramSettings
from gateway.deliver.settings import DnsSettings
from gateway.filters.settings import FilterSettings
from gateway.imap.settings import ImapSettings
from gateway.lists.settings import ListSettings
from gateway.mail.settings import BounceSettings, SrsSettings
from gateway.observe.settings import TraceSettings
from gateway.policy.settings import BrakeSettings
from gateway.pop3.settings import Pop3Settings
from gateway.queue.settings import QueueSettings
from gateway.route.relay_settings import RelaySettings
from gateway.route.settings import RouteSettings
from gateway.service.settings import LimitSettings, ProcessSettings
from gateway.smtp.settings import SmtpSettings
from gateway.store.settings import StoreSettings
from webadmin.settings import WebSettings

#: what a listener can serve
Service = Literal["mx", "submission", "submissions", "lmtp", "imap", "imaps", "pop3", "pop3s"]
#: in run_dir: where programs of this host hand in mail
LOCAL_SOCKET = "local.sock"
#: in run_dir: where the web front end reads and sends mail of whoever is logged in there
WEB_IMAP_SOCKET, WEB_SUBMISSION_SOCKET = "web-imap.sock", "web-submission.sock"
#: the listeners of its process, and those that it alone may connect to
WEB, WEB_IMAP, WEB_SUBMISSION = "web", "web-imap", "web-submission"


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One listening socket."""

    #: TCP port; not with path
    port: Port | None = None
    #: unix socket, for lmtp only, instead of a port
    path: str = ""
    #: who may connect to the unix socket, octal, as in 0660 for owner and group
    mode: str = "0660"
    #: IPv4 or IPv6 address; 0.0.0.0 is every IPv4 address of the host, :: every IPv6 address
    address: str = "127.0.0.1"
    #: none (as on every unix socket), starttls (the client may upgrade) or implicit (TLS from the first octet)
    tls: Literal["none", "starttls", "implicit"] = "starttls"
    #: addresses or networks of proxies, which must begin every connection with a PROXY header (version 1 or 2)
    proxy_from: tuple[str, ...] = ()


class TlsFiles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Certificate and key; files that are renewed are noticed without a restart."""

    #: PEM file of the certificate with its chain
    cert: str = ""
    #: PEM file of its private key
    key: str = ""


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Figures for Prometheus (`/metrics`) and the state of the host for load balancers (`/health`), over HTTP."""

    #: loopback address and port, as in 127.0.0.1:9180; "" = none
    listen: str = ""


class RunAs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which user runs what when the service is started as root; a name, or a number that need not have an account."""

    #: workers and queue runner: the only ones that open stores; "" = who starts the service
    mail: str = ""
    #: the agent: the only one that reads the directory's password; "" = the same as mail
    directory: str = ""
    #: delivery programs; "" = the same as mail
    programs: str = ""
    #: the web front end: opens no store and no database, holds no secret of the directory; "" = the same as mail
    web: str = ""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration file."""

    #: folder on a local disk for the directory copy, the index and the queue
    state_dir: str
    #: folder for sockets and other things that a restart makes anew
    run_dir: str
    directory: DirectorySettings
    store: StoreSettings
    #: this host's name in greetings and Received fields
    hostname: str = "localhost"
    #: what is served where: a list of listeners for each service
    listen: dict[Service, tuple[Listener, ...]] = {}
    #: "deliver": a host without an index that takes mail for stores it shares with others; they take it in
    role: Literal["all", "deliver"] = "all"
    run_as: RunAs = RunAs()
    #: processes that serve clients; one a processor core
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    tls: TlsFiles = TlsFiles()
    auth: AuthSettings = AuthSettings()
    defaults: Defaults = Defaults()
    relay: RelaySettings = RelaySettings()
    dns: DnsSettings = DnsSettings()
    route: RouteSettings = RouteSettings()
    queue: QueueSettings = QueueSettings()
    lists: ListSettings = ListSettings()
    brake: BrakeSettings = BrakeSettings()
    #: delivery programs, by the name that rules and accounts (gatepostDelivery) have for them
    programs: dict[str, ProgramSettings] = {}
    bounce: BounceSettings = BounceSettings()
    srs: SrsSettings = SrsSettings()
    smtp: SmtpSettings = SmtpSettings()
    filters: FilterSettings = FilterSettings()
    imap: ImapSettings = ImapSettings()
    pop3: Pop3Settings = Pop3Settings()
    limits: LimitSettings = LimitSettings()
    processes: ProcessSettings = ProcessSettings()
    metrics: Metrics = Metrics()
    trace: TraceSettings = TraceSettings()
    web: WebSettings = WebSettings()

    def listeners(self) -> dict[str, tuple[Listener, ...]]:
        """Everything that is listened on, by service; `local`, `metrics` and the web front end's are more."""
        found: dict[str, tuple[Listener, ...]] = dict(self.listen)  # type: ignore[arg-type]
        found["local"] = (Listener(path=f"{self.run_dir}/{LOCAL_SOCKET}", mode="0666", tls="none"),)
        if self.metrics.listen:
            found["metrics"] = (_listener(self.metrics.listen),)
        if self.web.listen:
            found[WEB] = (_listener(self.web.listen, self.web.tls),)
            for service, name in ((WEB_IMAP, WEB_IMAP_SOCKET), (WEB_SUBMISSION, WEB_SUBMISSION_SOCKET)):
                # who connects is known from the kernel; everybody but the web front end is turned away
                found[service] = (Listener(path=f"{self.run_dir}/{name}", mode="0666", tls="none"),)
        return found


def _listener(text: str, tls: Literal["none", "implicit"] = "none") -> Listener:
    address, _, port = text.rpartition(":")
    return Listener(port=int(port), address=address.strip("[]"), tls=tls)
