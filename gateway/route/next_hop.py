"""Which host a message for outside is handed to. Asked again at each attempt; pure, microseconds.

The first of these that says something decides:

    1. another gateway that holds the mailbox (LMTP)
    2. `relay.routes` for the recipient's domain
    3. `gatepostNextHop` of a relay or backup domain; such a domain without one: its MX records
    4. `gatepostRelayHost` of the sender's account, then of the sender's domain
    5. `relay.smarthost`
    6. the MX records of the recipient's domain

A way is written `mx`, or `[smtp:|lmtp:][credentials@]host[:port]`. Of several values of an attribute each is a
host as good as the others.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeVar

from directory.model import Account, Condition, Deferred, InvalidAddress, canonical_address, canonical_domain
from directory.port import Directory
from gateway.route import extension
from gateway.route.plan import Remote, RemoteLmtp
from gateway.route.relay_settings import RelaySettings, Tls

Kind = Literal["mx", "smtp", "lmtp"]
SMTP_PORT = 25
LMTP_PORT = 24
#: TLS from the first octet (RFC 8314 7.3)
SUBMISSIONS_PORT = 465
MX = "mx"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NextHop:
    """A destination as couriers and limits see it. `host` of kind mx is the domain whose MX records count.

    `login` names an entry of `relay.credentials`, `source` holds own addresses separated by blanks, `others` are
    hosts that serve as well as `host`.
    """

    kind: Kind
    host: str
    port: int
    login: str = ""
    tls: Tls = "may"
    source: str = ""
    others: tuple[tuple[str, int], ...] = ()

    @property
    def key(self) -> str:
        """What limits of concurrency and the memory of dead hosts count by."""
        return f"mx {self.host}" if self.kind == "mx" else f"{self.kind} {self.host}:{self.port}"

    @property
    def is_tls_from_start(self) -> bool:
        """True where TLS begins with the connection."""
        return self.kind == "smtp" and self.port == SUBMISSIONS_PORT


def host_and_port(text: str, default: int) -> tuple[str, int]:
    """`host`, `host:port`, `address` or `[IPv6]:port`. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host.strip("[]") and not host.endswith("]")):
        return text.strip("[]"), default
    return host.strip("[]"), int(port)


@lru_cache(maxsize=1024)
def parse_way(text: str, lmtp_port: int = LMTP_PORT) -> NextHop | None:
    """One way as it is written in the configuration or an attribute; None is `mx`. Raises ValueError."""
    rest = text.strip()
    if rest.lower() == MX:
        return None
    kind: Kind = "smtp"
    for word in ("smtp", "lmtp"):
        if rest.lower().startswith(f"{word}:"):
            kind, rest = word, rest[len(word) + 1 :]
    login, _, rest = rest.rpartition("@")
    try:
        host, port = host_and_port(rest, lmtp_port if kind == "lmtp" else SMTP_PORT)
        if not 1 <= port <= 65535:
            raise ValueError
        try:
            host = str(ipaddress.ip_address(host))
        except ValueError:
            host = canonical_domain(host)
    except ValueError:
        raise ValueError(f"{text!r} is not mx, host, host:port, [IPv6]:port or credentials@host:port") from None
    return NextHop(kind, host, port, login)


def by_domain(table: Mapping[str, T], domain: str) -> T | None:
    """The value for `domain`: its own, that of the nearest `.parent`, that of `*`; None without one."""
    if not table:
        return None
    if domain in table:
        return table[domain]
    rest = domain
    while "." in rest:
        rest = rest.partition(".")[2]
        if f".{rest}" in table:
            return table[f".{rest}"]
    return table.get("*")


def next_hop(
    step: Remote | RemoteLmtp, sender: str, directory: Directory, relay: RelaySettings, separators: str
) -> NextHop:
    """Where to hand the message for `step` with return path `sender` ("" = `<>`).

    An account's return path may have an extension (`separators`: `route.extension_separator`) and be in a domain alias.

    Raises Deferred where the way is written so that it cannot be used: mending it frees the message.
    """
    try:
        domain = canonical_address(step.recipient).domain
    except InvalidAddress as error:
        raise Deferred(Condition.NO_ROUTE, f"{step.recipient}: {error}") from None
    if isinstance(step, RemoteLmtp):
        hop = _chosen([f"lmtp:{step.host}"], domain, relay, "gatepostMailHost")
    else:
        hop = _outside(domain, sender, directory, relay, separators)
    tls = by_domain(relay.tls, hop.host)
    if tls is None and hop.kind != "mx":
        tls = by_domain(relay.tls, domain)
    if hop.login:
        _check_login(hop, relay)
        tls = "verify"
    source = by_domain(relay.source, _domain_of(sender))
    if tls is None and source is None:
        return hop
    return replace(hop, tls=tls or "may", source=" ".join(source or ()))


def _outside(domain: str, sender: str, directory: Directory, relay: RelaySettings, separators: str) -> NextHop:
    route = by_domain(relay.routes, domain)
    if route is not None:
        return _chosen([route], domain, relay, "relay.routes")
    ours = directory.domain(domain)
    if ours is not None and ours.kind in ("relay", "backup"):
        return _chosen(ours.next_hops or [MX], domain, relay, f"gatepostNextHop of {ours.dn}")
    if sender:
        for ways, whose in _of_sender(sender, directory, separators):
            if ways:
                return _chosen(ways, domain, relay, f"gatepostRelayHost of {whose}")
    return _chosen([relay.smarthost or MX], domain, relay, "relay.smarthost")


def _of_sender(sender: str, directory: Directory, separators: str) -> list[tuple[Sequence[str], str]]:
    """Ways that the sender's account and domain name, and whose they are."""
    try:
        address = canonical_address(sender)
    except InvalidAddress:
        return []
    domain = directory.domain(address.domain)
    if domain is None:
        return []
    forms = extension.ownable(address.local, address.domain, domain, separators)
    owners = next((owners for _, form in forms if (owners := directory.owners(form))), ())
    found = [(owner.relay_hosts, owner.dn) for owner in owners if isinstance(owner, Account)]
    return [*found, (domain.relay_hosts, domain.dn)]


def _domain_of(sender: str) -> str:
    try:
        return canonical_address(sender).domain
    except InvalidAddress:
        return ""


def _chosen(ways: Sequence[str], domain: str, relay: RelaySettings, whose: str) -> NextHop:
    """The hop for ways that are as good as each other; one that cannot be read is passed over if another can."""
    found: list[NextHop] = []
    problem = ""
    for text in sorted(ways):
        try:
            hop = parse_way(text, relay.lmtp_port)
        except ValueError as error:
            problem = str(error)
            continue
        if hop is None:
            return NextHop("mx", domain, relay.mx_port)
        found.append(hop)
    if not found:
        raise Deferred(Condition.NO_ROUTE, f"{whose}: {problem}")
    first = found[0]
    # one login and one protocol for all: what differs would not be "as good"
    others = tuple((hop.host, hop.port) for hop in found[1:] if (hop.kind, hop.login) == (first.kind, first.login))
    return replace(first, others=others) if others else first


def _check_login(hop: NextHop, relay: RelaySettings) -> None:
    credentials = relay.credentials.get(hop.login)
    if credentials is None:
        raise Deferred(Condition.NO_ROUTE, f"there are no relay.credentials.{hop.login}")
    known = {name.lower() for name in credentials.hosts}
    for host, _ in ((hop.host, hop.port), *hop.others):
        if host not in known:
            raise Deferred(Condition.NO_ROUTE, f"relay.credentials.{hop.login} are not for {host}")
