"""The DNS over asyncio, by dnspython: implements `gateway.deliver.resolve.Resolve`.

One question is asked once, however many wait for its answer; answers are kept for their time to live, within bounds.
What cannot be answered is remembered for a few seconds (RFC 9520), so that a dead name server is not hammered.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import dns._asyncio_backend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.DNAME
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.NS
import dns.rdtypes.ANY.NSEC
import dns.rdtypes.ANY.NSEC3
import dns.rdtypes.ANY.OPT
import dns.rdtypes.ANY.PTR
import dns.rdtypes.ANY.RRSIG
import dns.rdtypes.ANY.SOA
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rdtypes.IN.SRV

from directory.model import Condition, Deferred
from gateway.deliver.resolve import Kind, Mx, Records, Srv, Tlsa
from gateway.deliver.settings import DnsSettings
from gateway.route.next_hop import host_and_port

T = TypeVar("T")
# the library imports what answers hold when they come: all of it must be there before the first fork
DNS_PORT = 53
PAYLOAD = 1232  # largest UDP answer that is not fragmented (DNS Flag Day 2020)
ROUNDS = 2
FAILURE_SECONDS = 5.0  # RFC 9520 3.2: between 1 s and 5 min
ABSENT_SECONDS = 3600.0  # absence is kept no longer, whatever the zone says (RFC 2308 5: one to three hours)
WORKS_SECONDS = 300.0
AT_ONCE = 200
#: files that name servers and hosts
RESOLV_CONF = Path("/etc/resolv.conf")
HOSTS = Path("/etc/hosts")


class Resolver:
    """Made in the process that uses it, within its loop."""

    def __init__(
        self,
        settings: DnsSettings,
        clock: Callable[[], float] = time.monotonic,
        *,
        resolv_conf: Path = RESOLV_CONF,
        hosts: Path = HOSTS,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._kept: OrderedDict[tuple[str, Kind], tuple[float, Records | Deferred]] = OrderedDict()
        self._asked: dict[tuple[str, Kind], asyncio.Task[Records]] = {}
        self._gate = asyncio.Semaphore(AT_ONCE)
        #: when a server last gave something that is there
        self._worked: dict[tuple[str, int], float] = {}
        self._resolv_conf = _Watched(resolv_conf, _name_servers)
        self._hosts = _Watched(hosts, _hosts)

    # the port

    async def ask(self, name: str, kind: Kind) -> Records:
        """See the port."""
        key = (name.lower().removesuffix("."), kind)
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self._clock():
            self._kept.move_to_end(key)
            if isinstance(kept[1], Deferred):
                raise Deferred(kept[1].condition, kept[1].detail)
            return kept[1]
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.ensure_future(self._find(key))
            task.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(task)

    async def addresses(self, name: str, families: tuple[str, ...] = ("ipv6", "ipv4")) -> Records:
        """See the port."""
        try:
            return Records((str(ipaddress.ip_address(name.strip("[]"))),), name)
        except ValueError:
            pass
        known = self._hosts.value().get(name.lower())
        if known is None and name.lower() == "localhost":  # RFC 6761 6.3
            known = ("::1", "127.0.0.1")
        if known is not None:
            values = [each for family in families for each in known if _family(each) == family]
            return Records(tuple(values), name)
        kinds: list[Kind] = ["AAAA" if family == "ipv6" else "A" for family in families]
        found = await asyncio.gather(*(self.ask(name, kind) for kind in kinds), return_exceptions=True)
        answers = []
        trouble: BaseException | None = None
        for each in found:
            if isinstance(each, Records):
                answers.append(each)
            else:
                trouble = each
        values = [value for answer in answers for value in answer.values]
        if not values and trouble is not None:
            raise trouble
        return Records(
            tuple(values),
            answers[0].name,
            exists=any(answer.exists for answer in answers),
            is_secure=all(answer.is_secure for answer in answers),
        )

    # one question

    def _answered(self, key: tuple[str, Kind], task: asyncio.Task[Records]) -> None:
        del self._asked[key]
        if not task.cancelled():
            task.exception()  # whoever waited may be gone

    async def _find(self, key: tuple[str, Kind]) -> Records:
        try:
            async with self._gate, asyncio.timeout(self._settings.lifetime):
                answer, seconds = await self._try_all(*key)
        except Deferred as error:
            self._keep(key, FAILURE_SECONDS, error)
            raise
        except TimeoutError:
            problem = Deferred(
                Condition.DNS_UNAVAILABLE, f"{key[0]} {key[1]}: no answer in {self._settings.lifetime:g} s"
            )
            self._keep(key, FAILURE_SECONDS, problem)
            raise problem from None
        self._keep(key, min(seconds, self._settings.max_ttl), answer)
        return answer

    def _keep(self, key: tuple[str, Kind], seconds: float, answer: Records | Deferred) -> None:
        self._kept[key] = (self._clock() + seconds, answer)
        self._kept.move_to_end(key)
        while len(self._kept) > self._settings.cache:
            self._kept.popitem(last=False)

    def _servers(self) -> list[tuple[str, int]]:
        if self._settings.servers:
            return [host_and_port(text, DNS_PORT) for text in self._settings.servers]
        return self._resolv_conf.value() or [("127.0.0.1", DNS_PORT)]

    async def _try_all(self, name: str, kind: Kind) -> tuple[Records, float]:
        problem = "no name server"
        for _ in range(ROUNDS):
            for server in self._servers():
                try:
                    return await self._try(server, name, kind)
                except (dns.exception.DNSException, OSError, EOFError, _Unusable) as error:
                    problem = f"{server[0]}: {error or type(error).__name__}"
        raise Deferred(Condition.DNS_UNAVAILABLE, f"{name} {kind}: {problem}")

    async def _query(self, server: tuple[str, int], name: str, kind: Kind) -> dns.message.QueryMessage:
        question = dns.message.make_query(name, kind, use_edns=0, payload=PAYLOAD, flags=dns.flags.RD | dns.flags.AD)
        answer, _ = await dns.asyncquery.udp_with_fallback(
            question, server[0], self._settings.timeout, server[1], ignore_unexpected=True, ignore_errors=True
        )
        if answer.rcode() == dns.rcode.FORMERR:  # a server from before EDNS (RFC 6891 7)
            question.use_edns(False)
            answer, _ = await dns.asyncquery.udp_with_fallback(
                question, server[0], self._settings.timeout, server[1], ignore_unexpected=True, ignore_errors=True
            )
        assert isinstance(answer, dns.message.QueryMessage)
        return answer

    async def _try(self, server: tuple[str, int], name: str, kind: Kind) -> tuple[Records, float]:
        answer = await self._query(server, name, kind)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise _Unusable(dns.rcode.to_text(answer.rcode()))
        chain = answer.resolve_chaining()
        end = chain.canonical_name.to_text(omit_final_dot=True).lower()
        is_secure = bool(answer.flags & dns.flags.AD) and self._is_trusted(server[0])
        if chain.answer is not None:
            self._worked[server] = self._clock()
            values = tuple(_value(each) for each in chain.answer)
            return Records(values, end, is_secure=is_secure), float(chain.minimum_ttl)
        if not any(rrset.rdtype == dns.rdatatype.SOA for rrset in answer.authority):
            raise _Unusable("neither an answer nor the zone that would hold it")
        if not await self._works(server):
            raise _Unusable("says that nothing is there, but does not know the root either")
        exists = answer.rcode() == dns.rcode.NOERROR
        return Records((), end, exists, is_secure), min(float(chain.minimum_ttl), ABSENT_SECONDS)

    async def _works(self, server: tuple[str, int]) -> bool:
        """True when the server has shown lately that it can find things: a cut-off one must not bounce mail."""
        if self._clock() - self._worked.get(server, -WORKS_SECONDS) < WORKS_SECONDS:
            return True
        answer = await self._query(server, ".", "NS")
        if answer.rcode() != dns.rcode.NOERROR or not answer.answer:
            return False
        self._worked[server] = self._clock()
        return True

    def _is_trusted(self, server: str) -> bool:
        return ipaddress.ip_address(server.partition("%")[0]).is_loopback or server in self._settings.trusted


class _Unusable(Exception):
    """An answer from which nothing follows; the next server is asked."""


class _Watched(Generic[T]):
    """What a small file says, read again when it changes."""

    def __init__(self, path: Path, read: Callable[[str], T]) -> None:
        self._path, self._read = path, read
        self._seen: tuple[int, int] | None = None
        self._value = read("")

    def value(self) -> T:
        try:
            facts = self._path.stat()
            seen = (facts.st_mtime_ns, facts.st_ino)
            if seen != self._seen:
                self._value = self._read(self._path.read_text(encoding="utf-8", errors="replace"))
                self._seen = seen
        except OSError:
            pass  # what was known still holds
        return self._value


def _name_servers(text: str) -> list[tuple[str, int]]:
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            try:
                ipaddress.ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            found.append((words[1], DNS_PORT))
    return found[:3]  # as resolv.conf(5)


def _hosts(text: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        address, *names = line.partition("#")[0].split() or [""]
        try:
            ipaddress.ip_address(address)
        except ValueError:
            continue
        for name in names:
            found[name.lower()] = (*found.get(name.lower(), ()), address)
    return found


def _family(address: str) -> str:
    return "ipv6" if ":" in address else "ipv4"


def _value(record: object) -> object:
    """A record as the port has it."""
    if isinstance(record, dns.rdtypes.ANY.MX.MX):
        return Mx(record.preference, record.exchange.to_text(omit_final_dot=True).lower().removesuffix("."))
    if isinstance(record, dns.rdtypes.IN.SRV.SRV):
        host = record.target.to_text(omit_final_dot=True).lower().removesuffix(".")
        return Srv(record.priority, record.weight, record.port, host)
    if isinstance(record, dns.rdtypes.IN.A.A | dns.rdtypes.IN.AAAA.AAAA):
        return record.address
    if isinstance(record, dns.rdtypes.ANY.TXT.TXT):
        return b"".join(record.strings)
    if isinstance(record, dns.rdtypes.ANY.TLSA.TLSA):
        return Tlsa(record.usage, record.selector, record.mtype, record.cert)
    if isinstance(record, dns.rdtypes.ANY.PTR.PTR | dns.rdtypes.ANY.NS.NS):
        return record.target.to_text(omit_final_dot=True).lower()
    raise _Unusable(f"a record of a kind that was not asked for: {type(record).__name__}")
