"""Who sent a message, as far as SPF and DKIM prove it: told in our Authentication-Results field (RFC 8601), judged never.

Only mail that comes in from outside is looked at (MX), and not what a relay of ours brings: who gave it to the relay is
not known here. What the DNS does not answer and what the sender did wrong is a result in the field, and the message is
taken all the same. Trouble of this host puts it off: no thread is free, or what was spooled cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from directory.model import Condition, Deferred, InvalidAddress, canonical_address
from gateway.deliver.resolve import Resolve
from gateway.files.spool import size_of, split
from gateway.filters import dkim, spf
from gateway.filters.port import ACCEPT, Away, Facts, Verdict
from gateway.filters.settings import AuthenticationSettings
from gateway.mail.authentication_results import result, value_of
from gateway.mail.dkim_signature import is_for

#: octets of header and body that are hashed without a thread
IN_LOOP = 64 * 1024


class AuthenticationCheck:
    """Implements `ContentCheck`."""

    name = "authentication"

    def __init__(
        self,
        settings: AuthenticationSettings,
        resolve: Resolve,
        clock: Callable[[], float],
        now: Callable[[], float],
        away: Away,
    ) -> None:
        """`clock` is monotonic, `now` unix time; `away` runs what computes long on a thread."""
        self._settings, self._resolve, self._clock, self._now, self._away = settings, resolve, clock, now, away

    async def check(self, facts: Facts, body: Sequence[bytes], deadline: float) -> Verdict:
        if facts.service != "mx" or facts.by_relay:
            return ACCEPT
        until = min(deadline, self._clock() + self._settings.timeout)
        results: list[str] = []
        vouched = False
        if self._settings.spf:
            found = await spf.check(
                facts.client,
                facts.envelope.return_path,
                facts.helo,
                self._resolve,
                receiver=facts.hostname,
                seconds=until - self._clock(),
                away=self._away,
            )
            results.append(_spf_result(found, facts))
            vouched = found.outcome == "pass" and found.identity == "mailfrom"
        if self._settings.dkim:
            signatures = await self._signatures(facts, body, until)
            results += [_dkim_result(one) for one in signatures] or ["dkim=none"]
            vouched = vouched or _vouches(signatures, facts.envelope.return_path)
        return Verdict(results=tuple(results), vouched=vouched)

    async def _signatures(self, facts: Facts, body: Sequence[bytes], until: float) -> list[dkim.Verified]:
        header = facts.header
        _, spooled = split(body)  # what is in memory lost fields on its way here: the header has them all

        def pieces() -> Iterator[bytes]:
            yield header.content[header.end + 1 :]
            yield from spooled

        is_long = size_of(body) > IN_LOOP
        try:
            return await dkim.verify(
                header,
                pieces,
                self._resolve,
                most=self._settings.signatures,
                now=self._now(),
                seconds=until - self._clock(),
                away=self._away if is_long else None,
            )
        except OSError as error:
            raise Deferred(Condition.STORE_UNAVAILABLE, f"spool: {error}") from error


def _spf_result(found: spf.Result, facts: Facts) -> str:
    who = facts.envelope.return_path if found.identity == "mailfrom" else facts.helo
    return result("spf", found.outcome, found.reason, {f"smtp.{found.identity}": value_of(who)} if who else {})


def _dkim_result(one: dkim.Verified) -> str:
    if one.signature is None:
        return result("dkim", one.outcome, one.reason, {})
    properties = {
        "header.d": value_of(one.signature.domain),
        "header.s": value_of(one.signature.selector),
        "header.a": one.signature.algorithm,
        "header.b": value_of(one.mark),
    }
    return result("dkim", one.outcome, one.reason, properties)


def _vouches(signatures: Sequence[dkim.Verified], return_path: str) -> bool:
    try:
        domain = canonical_address(return_path).domain
    except InvalidAddress:
        return False
    return any(one.signer and is_for(domain, one.signer) for one in signatures)
