"""How a connection to a mail host must be protected: the administrator's rule, else DANE (RFC 7672), else MTA-STS
(RFC 8461), else TLS where it is offered (RFC 7435).

DANE counts only where DNSSEC vouches for the whole way: MX, address and TLSA records. What DANE or MTA-STS demand is
tried first but not insisted on where the message says `TLS-Required: No` (RFC 8689 3 and 4.2.2): its sender wants it
delivered more than protected. The administrator's rule holds all the same.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from directory.model import Condition, Deferred
from gateway.deliver.dane import usable
from gateway.deliver.mta_sts import MtaSts
from gateway.deliver.mx import Place
from gateway.deliver.port import TlsWish
from gateway.deliver.resolve import Resolve
from gateway.mail.header import HeaderProblem, scan_pieces
from gateway.route.next_hop import NextHop

#: (domain, kind, policy, host, result): one connection for TLS reports
Count = Callable[[str, str, str, str, str], None]
_EXPIRED, _HOST_MISMATCH, _ADDRESS_MISMATCH = 10, 62, 64
_UNTRUSTED = (2, 18, 19, 20, 21, 27)


@dataclass(frozen=True, slots=True)
class Protection:
    """What is tried on one address: each of `wishes` until one is met, then no TLS if `may_be_clear`.

    `kind` and `policy` are what a TLS report calls it; `is_proof`: the first wish, met, proves whose host it is;
    `is_waived`: other messages may demand more of a connection than this one.
    """

    wishes: tuple[TlsWish, ...]
    may_be_clear: bool
    kind: str = "no-policy-found"
    policy: str = ""
    is_proof: bool = False
    is_waived: bool = False


def puts_delivery_first(pieces: Iterator[bytes]) -> bool:
    """True for a message that says `TLS-Required: No`. No more of it is read than its header.

    Only "No" means anything, and only once (RFC 8689 3); a message that cannot be read says nothing.
    """
    try:
        header = scan_pieces(pieces)
    except (HeaderProblem, OSError):
        return False
    said = [header.unfolded(field).lower() for field in header.all(b"tls-required")]
    return said == [b"no"]


class Protections:
    """Finds the protection of a place. `sts` None and `dane` False leave these out."""

    def __init__(self, resolve: Resolve, sts: MtaSts | None, *, dane: bool) -> None:
        self._resolve, self._sts, self._dane = resolve, sts, dane

    async def of(self, hop: NextHop, place: Place, waives: Callable[[], bool]) -> Protection:
        """Raises Deferred where a policy forbids this host, or cannot be found out.

        `waives` tells whether the message can do without what the recipient's domain demands; it is asked only where
        that makes a difference.
        """
        anything = TlsWish(place.name)
        if hop.tls == "never":
            return Protection((), may_be_clear=True)
        if hop.tls == "verify":
            return Protection((TlsWish(place.name, verify=True),), may_be_clear=False, is_proof=True)
        if hop.tls == "must":
            return Protection((anything,), may_be_clear=False)
        if hop.kind != "mx":
            return Protection((anything,), may_be_clear=not hop.is_tls_from_start)
        try:
            found = await self._by_domain(hop, place, anything)
        except Deferred:
            if not waives():
                raise
            return Protection((anything,), may_be_clear=True, is_waived=True)
        if found.may_be_clear or not waives():
            return found
        return replace(found, wishes=(*found.wishes, anything), may_be_clear=True, is_waived=True)

    async def _by_domain(self, hop: NextHop, place: Place, anything: TlsWish) -> Protection:
        """What the recipient's domain demands. Raises Deferred."""
        if self._dane and place.is_secure:
            found = await self._by_dane(hop, place)
            if found is not None:
                return found
        if self._sts is not None:
            policy = await self._sts.policy(hop.host)
            if policy is not None:
                verified = TlsWish(place.name, verify=True)
                if policy.mode == "testing":
                    return Protection(
                        (verified, anything), may_be_clear=True, kind="sts", policy=f"testing {policy.id}"
                    )
                if not policy.allows(place.name):
                    why = f"{place.name} is not one of the hosts that the MTA-STS policy of {hop.host} names"
                    raise Deferred(Condition.TLS_UNAVAILABLE, why, host=place.name)
                return Protection(
                    (verified,), may_be_clear=False, kind="sts", policy=f"enforce {policy.id}", is_proof=True
                )
        return Protection((anything,), may_be_clear=True)

    async def _by_dane(self, hop: NextHop, place: Place) -> Protection | None:
        # trouble here is trouble with the host: an attacker could cause it (RFC 7672 2.1.1)
        found = await self._resolve.ask(f"_{hop.port}._tcp.{place.name}", "TLSA")
        if not found.values or not found.is_secure:
            return None
        records = usable(found.values)
        policy = " / ".join(f"{each.usage} {each.selector} {each.matching} {each.data.hex()}" for each in records)
        wish = TlsWish(place.name, tlsa=records)
        return Protection((wish,), may_be_clear=False, kind="tlsa", policy=policy, is_proof=bool(records))


def result_of(error: BaseException) -> str:
    """The result type (RFC 8460 4.3) of a failed handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _EXPIRED:
            return "certificate-expired"
        if error.verify_code in (_HOST_MISMATCH, _ADDRESS_MISMATCH):
            return "certificate-host-mismatch"
        if error.verify_code in _UNTRUSTED:
            return "certificate-not-trusted"
    return "validation-failure"
