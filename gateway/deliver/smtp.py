"""The courier that hands messages to other mail hosts by SMTP or LMTP.

Addresses of a destination are tried in order until one talks to us; what it then says counts. Trouble with the way
(DNS, connection, TLS, greeting, login) is temporary for every recipient that has no answer yet. A message whose
final reply got lost is sent again later, never to the next address at once: at most one duplicate.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from directory.model import Condition, Deferred, Refused
from gateway.deliver.connections import Connections
from gateway.deliver.mx import Place, mx_hosts, places
from gateway.deliver.peer import Peer, PeerRefuses
from gateway.deliver.port import Dial, Outcome, Parcel, Taken, TlsWish
from gateway.deliver.resolve import Mx, Resolve
from gateway.deliver.tls_policy import Count, Protection, Protections, puts_delivery_first, result_of
from gateway.deliver.tls_store import SUCCESS
from gateway.observe import maillog, metrics
from gateway.route.next_hop import NextHop
from gateway.route.relay_settings import RelaySettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outside:
    """What all couriers of a process share: ports and settings. `is_own` knows addresses of this host."""

    dial: Dial
    resolve: Resolve
    connections: Connections
    relay: RelaySettings
    hostname: str
    shuffle: Callable[[list[Mx]], None]
    is_own: Callable[[str], bool]
    #: login and password by name; raises Deferred
    credentials: Callable[[str], tuple[str, str]]
    protections: Protections
    #: counts connections for TLS reports
    count: Count

    @property
    def own_names(self) -> frozenset[str]:
        return frozenset(name.lower() for name in (self.hostname, *self.relay.own_names))


class _Unusable(Exception):
    """This address will not do; the next one is tried. `reason` is what holds if all are so."""

    def __init__(self, reason: Deferred) -> None:
        super().__init__(str(reason))
        self.reason = reason


class SmtpCourier:
    """Sends to one next hop."""

    def __init__(self, hop: NextHop, outside: Outside) -> None:
        self._hop, self._outside = hop, outside

    async def deliver(self, parcel: Parcel) -> list[Outcome]:
        """See `Courier`."""
        outcomes: dict[int, Outcome] = {}
        try:
            await self._deliver(parcel, outcomes)
        except (Deferred, Refused) as error:
            for number in range(len(parcel.recipients)):
                outcomes.setdefault(number, error)
        return [outcomes[number] for number in range(len(parcel.recipients))]

    async def _deliver(self, parcel: Parcel, outcomes: dict[int, Outcome]) -> None:
        everyone = list(range(len(parcel.recipients)))
        must_prove = "REQUIRETLS" in parcel.parameters
        # what must be proven of a connection is not asked of one that is kept
        while not must_prove and (peer := self._outside.connections.take(self._hop)) is not None:
            # the peer may have closed it a moment ago: that is nobody's failure
            if await self._send(peer, parcel, outcomes, everyone, may_repeat=True):
                return
        peer = await self._somebody(must_prove=must_prove, waives=lambda: _waives(parcel))
        if must_prove and not peer.has("REQUIRETLS"):
            await peer.quit()
            raise Refused(Condition.REQUIRETLS_IMPOSSIBLE, f"{peer.host} does not offer REQUIRETLS", host=peer.host)
        await self._send(peer, parcel, outcomes, everyone, may_repeat=False)

    async def _somebody(self, *, must_prove: bool, waives: Callable[[], bool]) -> Peer:
        """The first address that talks to us. Raises Deferred, Refused."""
        problem: Deferred | None = None
        tried = 0
        try:
            async with aclosing(self._places()) as found:
                async for place in found:
                    tried += 1
                    try:
                        return await self._connect(place, must_prove=must_prove, waives=waives)
                    except _Unusable as error:
                        problem = error.reason
                    if tried >= self._outside.relay.max_addresses:
                        break
        except (Deferred, Refused):
            # an earlier host was at fault only for now: that is what counts
            if problem is None:
                raise
        raise problem or Deferred(Condition.NO_ROUTE, f"{self._hop.key}: no address")

    async def _send(
        self, peer: Peer, parcel: Parcel, outcomes: dict[int, Outcome], everyone: list[int], *, may_repeat: bool
    ) -> bool:
        """One transaction; False when nothing came of it and it may be tried over another connection."""
        kept = False
        try:
            await peer.send(parcel, outcomes, everyone)
            kept = True
            taken = sum(isinstance(each, Taken) for each in outcomes.values())
            if taken:
                maillog.handed_on(
                    id=parcel.id, host=peer.host, address=peer.address, tls=peer.stream.tls, recipients=taken
                )
        except OSError as error:
            if may_repeat and not outcomes and not peer.unanswered:
                return False
            detail = f"{peer.host}: {error or type(error).__name__}"
            if peer.unanswered:
                detail += " behind the end of the message: it may come twice"
                maillog.unanswered(id=parcel.id, host=peer.host, detail=str(error) or type(error).__name__)
            trouble = Deferred(Condition.REMOTE_DEFERRED, detail, status="4.4.2", host=peer.host)
            for number in everyone:
                outcomes.setdefault(number, trouble)
        finally:
            if not kept:
                peer.stream.close()
        await self._outside.connections.give(self._hop, peer)
        return True

    # the way

    async def _places(self) -> AsyncGenerator[Place, None]:
        """Addresses to try, in order; found as they are needed. Raises Deferred, Refused."""
        hop, outside = self._hop, self._outside
        families = outside.relay.families
        if hop.kind != "mx":
            problem: Deferred | None = None
            for host, port in ((hop.host, hop.port), *hop.others):
                try:
                    found = await outside.resolve.addresses(host, families)
                except Deferred as error:
                    problem = error
                    continue
                for address in found.values:
                    yield Place(host, address, found.is_secure, port)
            if problem is not None:
                raise problem
            return
        trouble: Deferred | None = None
        for mx in await mx_hosts(hop.host, outside.resolve, outside.own_names, outside.shuffle):
            try:
                usable = await places(
                    mx,
                    hop.host,
                    outside.resolve,
                    families=families,
                    may_be_private=outside.relay.allow_private,
                    is_own=outside.is_own,
                )
            except Deferred as error:
                trouble = trouble or error
                continue
            for place in usable:
                yield place
        if trouble is not None:
            raise trouble

    async def _connect(self, place: Place, *, must_prove: bool, waives: Callable[[], bool]) -> Peer:
        """A peer that is ready for a message. Raises _Unusable, Refused."""
        label = f"{place.name}[{place.address}]"
        try:
            found = await self._outside.protections.of(self._hop, place, waives)
        except Deferred as error:
            raise _Unusable(error) from error
        if must_prove and not found.is_proof:
            raise Refused(
                Condition.REQUIRETLS_IMPOSSIBLE, f"nothing proves that {label} is the right host", host=place.name
            )
        wishes: list[TlsWish | None] = list(found.wishes)
        if found.may_be_clear:
            wishes.append(None)
        for wish in wishes:
            try:
                return await self._talk(place, wish, found, label)
            except _HandshakeFailed as error:
                problem = error
            except PeerRefuses as error:
                raise _Unusable(error.reply.trouble(place.name)) from error
            except OSError as error:
                detail = f"{label}: {error or type(error).__name__}"
                raise _Unusable(Deferred(Condition.REMOTE_DEFERRED, detail, status="4.4.1", host=place.name)) from error
            self._count(found, place, problem.result)
            maillog.tls_failed(host=label, detail=str(problem))
        reason = Deferred(Condition.TLS_UNAVAILABLE, f"{label}: {problem}", status=problem.status, host=place.name)
        raise _Unusable(reason) from problem

    def _count(self, found: Protection, place: Place, result: str) -> None:
        """One connection for the TLS report of the domain."""
        if self._hop.kind == "mx":
            self._outside.count(self._hop.host, found.kind, found.policy, place.name, result)

    async def _talk(self, place: Place, wish: TlsWish | None, found: Protection, label: str) -> Peer:
        """Raises _HandshakeFailed, PeerRefuses, OSError."""
        hop, outside = self._hop, self._outside
        times = outside.relay.timeouts
        family = ":" in place.address
        source = next((each for each in hop.source.split() if (":" in each) == family), "")
        stream = await outside.dial(place.address, place.port or hop.port, times.connect, source)
        peer = Peer(stream, place.name, outside.hostname, times, lmtp=hop.kind == "lmtp", address=place.address)
        try:
            if hop.is_tls_from_start and wish is not None:
                await self._handshake(stream.start_tls(wish, times.tls))
            await peer.greet()
            if wish is not None and not stream.tls:
                await self._upgrade(peer, wish, found, place)
            if hop.login:
                await peer.login(*outside.credentials(hop.login))
        except BaseException:
            stream.close()
            raise
        if stream.tls:
            self._count(found, place, SUCCESS)
        is_verified = bool(stream.tls and wish and (wish.verify or wish.tlsa))
        peer.is_for_one = found.is_waived and not is_verified
        protection = "clear" if not stream.tls else "verified" if is_verified else "unverified"
        metrics.count(metrics.OUTGOING, hop.kind, protection)
        return peer

    async def _upgrade(self, peer: Peer, wish: TlsWish, found: Protection, place: Place) -> None:
        if peer.has("STARTTLS"):
            if await self._handshake(peer.start_tls(wish)):
                return
            why = "refuses STARTTLS"
        else:
            why = "does not offer STARTTLS"
        if not found.may_be_clear:
            raise _HandshakeFailed(why, "starttls-not-supported", "4.7.4")
        self._count(found, place, "starttls-not-supported")

    @staticmethod
    async def _handshake(step: Awaitable[T]) -> T:
        try:
            return await step
        except OSError as error:
            raise _HandshakeFailed(str(error) or type(error).__name__, result_of(error), "4.7.5") from error


def _waives(parcel: Parcel) -> bool:
    # REQUIRETLS comes before the header field (RFC 8689 4.2.2)
    return "REQUIRETLS" not in parcel.parameters and puts_delivery_first(parcel.content())


class _HandshakeFailed(Exception):
    """TLS came to nothing. `result` is the type for TLS reports."""

    def __init__(self, why: str, result: str, status: str) -> None:
        super().__init__(why)
        self.result, self.status = result, status
