"""What is well formed and still cannot work, seen from the configuration alone (no look at this host)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from directory.model import InvalidAddress, canonical_domain
from directory.model.send_limit import parse_limit
from directory.profile import InvalidProfile, Profile
from gateway.config.settings import Listener, Settings
from gateway.imap.switches import SWITCHABLE, known
from gateway.route.next_hop import host_and_port, parse_way
from gateway.service.oidc_settings import OidcSettings
from gateway.store.errors import InvalidMailboxName
from gateway.store.layout import checked_name
from gateway.store.repository import INBOX

Found = Iterator[tuple[tuple[str, ...], str]]
MAX_UNIX_PATH = 107  # what the system allows
DELIVERING = ("mx", "submission", "submissions", "lmtp")
_WEB_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")
SCHEMES = ("ldap", "ldaps", "ldapi")


def meaning(settings: Settings) -> Found:
    """Every such value: its path and what is wrong and allowed."""
    yield from _listeners(settings)
    yield from _metrics(settings)
    yield from _web(settings)
    yield from _networks(("limits", "exempt_networks"), settings.limits.exempt_networks)
    yield from _directory(settings)
    yield from _store(settings)
    for key in ("state_dir", "run_dir"):
        if not getattr(settings, key).startswith("/"):
            yield (key,), f"{getattr(settings, key)!r} is not an absolute path"
    if bool(settings.tls.cert) != bool(settings.tls.key):
        yield ("tls", "key" if settings.tls.cert else "cert"), "tls.cert and tls.key must be given together"
    yield from _relay(settings)
    yield from _programs(settings)
    yield from _name_servers(settings)
    yield from _filters(settings)
    yield from _send_limits(settings)
    yield from _switches(settings)


def _switches(settings: Settings) -> Found:
    for number, rule in enumerate(settings.imap.without):
        place = ("imap", "without", str(number), "capabilities")
        if not rule.capabilities:
            yield place, f"what is switched off is missing: any of {', '.join(SWITCHABLE)}"
        for name in rule.capabilities:
            if known(name) is None:
                yield place, f"{name!r} cannot be switched off; {', '.join(SWITCHABLE)} can"


def _send_limits(settings: Settings) -> Found:
    for number, text in enumerate(settings.defaults.send_limits):
        try:
            parse_limit(text)
        except ValueError as error:
            yield ("defaults", "send_limits", str(number)), str(error)


def _programs(settings: Settings) -> Found:
    for name, program in settings.programs.items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            yield ("programs", name), f"{name!r} is no name: letters, digits, dot, hyphen and underscore are wanted"
        if not program.argv or not program.argv[0].startswith("/"):
            yield ("programs", name, "argv"), "the absolute path of a program is wanted, then its arguments"
    for number, name in enumerate(settings.defaults.delivery):
        if name not in settings.programs:
            allowed = ", ".join(sorted(settings.programs)) or "none yet"
            yield ("defaults", "delivery", str(number)), f"{name!r} is none of programs, which are: {allowed}"


def _relay(settings: Settings) -> Found:
    relay = settings.relay
    ways: dict[tuple[str, ...], str] = {("relay", "smarthost"): relay.smarthost} if relay.smarthost else {}
    ways |= {("relay", "routes", name): way for name, way in relay.routes.items()}
    for steps, way in ways.items():
        try:
            hop = parse_way(way)
        except ValueError as error:
            yield steps, str(error)
            continue
        if hop is None or not hop.login:
            continue
        credentials = relay.credentials.get(hop.login)
        if credentials is None:
            yield steps, f"there are no relay.credentials.{hop.login}"
        elif hop.host not in {name.lower() for name in credentials.hosts}:
            yield steps, f"{hop.host} is not one of relay.credentials.{hop.login}.hosts"
    for name, credentials in relay.credentials.items():
        if not credentials.password_file.startswith("/"):
            yield (
                ("relay", "credentials", name, "password_file"),
                f"{credentials.password_file!r} is not an absolute path",
            )
    for table in ("routes", "tls", "source"):
        for name in getattr(relay, table):
            try:
                if not (name == "*" and table != "routes") and canonical_domain(
                    name.removeprefix(".")
                ) != name.removeprefix("."):
                    raise InvalidAddress("not in lower case as A-labels")
            except InvalidAddress as error:
                yield ("relay", table, name), f"{name!r} is not a domain or .domain: {error}"
    for name, addresses in relay.source.items():
        for number, address in enumerate(addresses):
            try:
                ipaddress.ip_address(address)
            except ValueError:
                yield ("relay", "source", name, str(number)), f"{address!r} is not an IPv4 or IPv6 address"


def _filters(settings: Settings) -> Found:
    yield from _networks(("filters", "relays"), settings.filters.relays)
    own = settings.filters.authserv_id
    if own and not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", own):
        yield ("filters", "authserv_id"), f"{own!r} is not a name like a host's"
    url = settings.filters.rspamd.url
    if not url:
        return
    try:
        parts = urlsplit(url)
        ipaddress.ip_address(parts.hostname or "")
        if parts.scheme != "http" or not parts.port or parts.path not in ("", "/"):
            raise ValueError
    except ValueError:
        yield ("filters", "rspamd", "url"), f"{url!r} is not http://ADDRESS:PORT, as in http://127.0.0.1:11333"


def _name_servers(settings: Settings) -> Found:
    for number, text in enumerate(settings.dns.servers):
        try:
            address, port = host_and_port(text, 53)
            ipaddress.ip_address(address)
            if not 1 <= port <= 65535:
                raise ValueError
        except ValueError:
            yield ("dns", "servers", str(number)), f"{text!r} is not address, IPv4:port or [IPv6]:port"
    for number, text in enumerate(settings.dns.trusted):
        try:
            ipaddress.ip_address(text)
        except ValueError:
            yield ("dns", "trusted", str(number)), f"{text!r} is not an IPv4 or IPv6 address"


def _listeners(settings: Settings) -> Found:
    taken: dict[tuple[str, int], str] = {}
    for service, listeners in settings.listen.items():
        if settings.role == "deliver" and service not in DELIVERING:
            yield ("listen", service), f"role: deliver has no index; it can serve {', '.join(DELIVERING)}"
        for number, listener in enumerate(listeners):
            steps = ("listen", service, str(number))
            if listener.path:
                yield from _unix(service, steps, listener)
            elif listener.port is None:
                yield (*steps, "port"), "is missing"
            try:
                ipaddress.ip_address(listener.address)
            except ValueError:
                yield (
                    (*steps, "address"),
                    f"{listener.address!r} is not an IPv4 or IPv6 address (0.0.0.0 or :: for all)",
                )
            if listener.tls == "implicit" and not (settings.tls.cert and settings.tls.key):
                yield (*steps, "tls"), "implicit needs tls.cert and tls.key"
            yield from _networks((*steps, "proxy_from"), listener.proxy_from)
            if listener.port is None:
                continue
            place = (listener.address, listener.port)
            if place in taken:
                yield (*steps, "port"), f"{listener.address}:{listener.port} is also the port of {taken[place]}"
            taken.setdefault(place, service)


def _unix(service: str, steps: tuple[str, ...], listener: Listener) -> Found:
    if service != "lmtp":
        yield (*steps, "path"), "a unix socket is for lmtp only"
    if listener.port is not None:
        yield (*steps, "port"), "port and path exclude each other: one listener each"
    if not listener.path.startswith("/"):
        yield (*steps, "path"), f"{listener.path!r} is not an absolute path"
    if len(listener.path.encode()) > MAX_UNIX_PATH:
        yield (*steps, "path"), f"is longer than {MAX_UNIX_PATH} octets"
    if not re.fullmatch("0?[0-7]{3}", listener.mode):
        yield (*steps, "mode"), f"{listener.mode!r} is not an octal mode, as in '0660'"
    if listener.tls == "implicit":
        yield (*steps, "tls"), "a unix socket has no TLS; allowed: none"


def _networks(path: tuple[str, ...], networks: tuple[str, ...]) -> Found:
    for number, network in enumerate(networks):
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            yield (
                (*path, str(number)),
                f"{network!r} is not an address or a network, as in 192.0.2.0/24 or 2001:db8::/32",
            )


def _metrics(settings: Settings) -> Found:
    if not settings.metrics.listen:
        return
    steps, text = ("metrics", "listen"), settings.metrics.listen
    address, _, port = text.rpartition(":")
    try:
        loopback = ipaddress.ip_address(address.strip("[]")).is_loopback
        number = int(port)
    except ValueError:
        yield steps, f"{text!r} is not address:port, as in 127.0.0.1:9180 or [::1]:9180"
        return
    if not loopback or not 1 <= number <= 65535:
        yield steps, f"{text!r} is not a port of a loopback address; others come in through a proxy"
    for service, listeners in settings.listen.items():
        for listener in listeners:
            if (listener.address, listener.port) == (address.strip("[]"), number):
                yield steps, f"{text} is also the port of {service}"


def _web(settings: Settings) -> Found:
    web = settings.web
    yield from _networks(("web", "trusted_proxies"), web.trusted_proxies)
    if web.url and not _WEB_URL.fullmatch(web.url):
        yield (
            ("web", "url"),
            f"{web.url!r} is no address such as https://mail.example.com, without anything behind the host",
        )
    if web.sign_up and not web.url:
        yield ("web", "sign_up"), "needs web.url: the mail to applicants has a link"
    if web.oidc.issuer:
        yield from _oidc(web.oidc, web.url)
    if not web.listen:
        return
    steps = ("web", "listen")
    address, _, port = web.listen.rpartition(":")
    try:
        loopback, number = ipaddress.ip_address(address.strip("[]")).is_loopback, int(port)
    except ValueError:
        yield steps, f"{web.listen!r} is not address:port, as in 127.0.0.1:8080 or [::]:443"
        return
    if not 1 <= number <= 65535:
        yield steps, f"{port} is no port, 1 to 65535 are"
    if web.tls == "implicit" and not settings.tls.cert:
        yield ("web", "tls"), "is implicit, and tls.cert is not set"
    if web.tls == "none" and not loopback:
        yield (
            ("web", "tls"),
            f"is none, and {address} is not loopback: passwords would cross the network in the clear; set implicit, or listen on loopback behind a proxy",
        )
    for service, listeners in settings.listen.items():
        for listener in listeners:
            if (listener.address, listener.port) == (address.strip("[]"), number):
                yield steps, f"{web.listen} is also the port of {service}"


def _oidc(oidc: OidcSettings, url: str) -> Found:
    steps = ("web", "oidc")
    if not oidc.issuer.startswith("https://") or "?" in oidc.issuer or "#" in oidc.issuer:
        yield (*steps, "issuer"), f"{oidc.issuer!r} is no address such as https://sso.example.com/realms/staff"
    if not oidc.client_id:
        yield (*steps, "client_id"), "is empty; it is what Gatepost is registered as at the provider"
    if "openid" not in oidc.scopes:
        yield (*steps, "scopes"), "lacks openid, without which there is no ID token"
    if not oidc.claim:
        yield (*steps, "claim"), "is empty; preferred_username or email are usual"
    if not url:
        yield steps, "needs web.url, to which the provider sends browsers back"


def _directory(settings: Settings) -> Found:
    if not settings.directory.servers:
        yield ("directory", "servers"), "is empty; at least one URL, as in ldaps://ldap.example.com"
    for number, url in enumerate(settings.directory.servers):
        parts = urlsplit(url)
        if parts.scheme == "file":
            if len(settings.directory.servers) > 1 or not parts.path.startswith("/") or parts.netloc:
                yield (
                    ("directory", "servers", str(number)),
                    f"{url!r}: a file stands alone and is written file:///path/to/company.ldif",
                )
            continue
        if parts.scheme not in SCHEMES or not parts.netloc:
            yield (
                ("directory", "servers", str(number)),
                f"{url!r} is not ldap://host[:port], ldaps://host[:port] or ldapi://%2Fpath%2Fto%2Fsocket or file:///path",
            )
    bind = settings.directory.bind
    if bind.dn and not bind.password_file and not bind.sasl_external:
        yield ("directory", "bind"), "bind.dn needs bind.password_file (or bind.sasl_external: true)"
    profile = settings.directory.profile
    if ("/" in profile or profile.endswith((".yaml", ".yml"))) and not profile.startswith("/"):
        yield ("directory", "profile"), f"{profile!r} is not an absolute path"
        return
    try:
        Profile.of(settings.directory)
    except InvalidProfile as error:
        yield error.key or ("directory", "profile"), error.reason


def _store(settings: Settings) -> Found:
    volumes = settings.store.volumes
    if not volumes:
        yield ("store", "volumes"), "is empty; at least one volume, as in {main: {path: /srv/mail}}"
    for name, volume in volumes.items():
        if not volume.path.startswith("/"):
            yield ("store", "volumes", name, "path"), f"{volume.path!r} is not an absolute path"
    default = settings.store.default_volume
    if default and default not in volumes:
        yield ("store", "default_volume"), f"{default!r} is not one of the volumes: {', '.join(volumes)}"
    used: dict[str, str] = {}
    for name, use in settings.store.mailboxes.items():
        try:
            if checked_name(name) != name or name == INBOX:
                yield ("store", "mailboxes", name), f"{name!r} is not a mailbox name as it is kept, or INBOX"
        except InvalidMailboxName as error:
            yield ("store", "mailboxes", name), str(error)
        if use != "none" and use in used:
            yield ("store", "mailboxes", name), f"{used[use]!r} is for {use} already"
        used[use] = name
