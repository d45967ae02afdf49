"""MTA-STS (RFC 8461): a domain's policy says which hosts take its mail, and that they are to be verified.

A policy is kept until it expires, whatever becomes of the record or the web server meanwhile: who can hide them must
not be able to switch the protection off.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from directory.model import Deferred, InvalidAddress, canonical_domain
from gateway.deliver.resolve import Resolve

MAX_POLICY = 64 * 1024  # RFC 8461 3.3: clients may limit what they read, 64 KiB at least
MAX_AGE = 31_557_600  # RFC 8461 3.2
MAX_HOSTS = 100
FETCH_AGAIN_SECONDS = 300.0  # RFC 8461 3.3: not more often than every five minutes after a failure
MAX_FAILURES = 10_000
PATH = "/.well-known/mta-sts.txt"


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A policy as it was fetched; `fetched` and `max_age` in seconds, `mode` is enforce, testing or none."""

    id: str
    mode: str
    hosts: tuple[str, ...]
    max_age: int
    fetched: float

    def allows(self, host: str) -> bool:
        """True when a pattern names the host; `*.` stands for one label (RFC 8461 4.1)."""
        return host in self.hosts or f"*.{host.partition('.')[2]}" in self.hosts

    def is_current(self, now: float) -> bool:
        return self.fetched <= now + 60 and now < self.fetched + self.max_age


class Fetch(Protocol):
    """Gets a page over HTTPS from a host with a certificate for its name. Raises OSError."""

    async def __call__(self, host: str, path: str, limit: int) -> bytes: ...


class PolicyStore(Protocol):
    """Keeps policies over restarts."""

    def policy(self, domain: str) -> StsPolicy | None: ...

    def keep_policy(self, domain: str, policy: StsPolicy) -> None: ...


def read_policy(text: bytes, policy_id: str, now: float) -> StsPolicy:
    """The policy in a file (RFC 8461 3.2). Raises ValueError."""
    fields: dict[str, str] = {}
    hosts = []
    for line in text.decode("utf-8").splitlines():
        key, colon, value = line.partition(":")
        key, value = key.strip(), value.strip()
        if not colon:
            if line.strip():
                raise ValueError(f"{line[:60]!r} is no field")
            continue
        if key == "mx":
            star = "*." if value.startswith("*.") else ""
            try:
                hosts.append(star + canonical_domain(value.removeprefix("*.")))
            except InvalidAddress as error:
                raise ValueError(f"mx: {error}") from None
        else:
            fields.setdefault(key, value)
    if fields.get("version") != "STSv1":
        raise ValueError("not version STSv1")
    mode, age = fields.get("mode", ""), fields.get("max_age", "")
    if mode not in ("enforce", "testing", "none"):
        raise ValueError(f"mode {mode[:20]!r}")
    if not (age.isascii() and age.isdigit() and len(age) <= 10):
        raise ValueError("max_age")
    if mode != "none" and not 0 < len(hosts) <= MAX_HOSTS:
        raise ValueError("no mx, or too many")
    return StsPolicy(policy_id, mode, tuple(hosts), min(int(age), MAX_AGE), now)


def record_id(records: tuple[bytes, ...]) -> str:
    """The id in the one TXT record of _mta-sts.<domain>, "" without exactly one (RFC 8461 3.1)."""
    found = [text for text in records if text.startswith(b"v=STSv1;") or text == b"v=STSv1"]
    if len(found) != 1:
        return ""
    for field in found[0].decode("ascii", "replace").split(";"):
        key, _, value = field.strip().partition("=")
        value = value.strip()
        if key.strip() == "id" and value.isalnum() and value.isascii() and len(value) <= 32:
            return value
    return ""


class MtaSts:
    """Answers for one domain at a time."""

    def __init__(self, resolve: Resolve, fetch: Fetch, store: PolicyStore, clock: Callable[[], float]) -> None:
        self._resolve, self._fetch, self._store, self._clock = resolve, fetch, store, clock
        self._failed: OrderedDict[str, float] = OrderedDict()

    async def policy(self, domain: str) -> StsPolicy | None:
        """The policy that holds for `domain`; None without one, or where it says none. Never raises."""
        now = self._clock()
        kept = self._store.policy(domain)
        if kept is not None and not kept.is_current(now):
            kept = None
        try:
            found = record_id((await self._resolve.ask(f"_mta-sts.{domain}", "TXT")).values)
        except Deferred:
            found = ""
        if found and (kept is None or kept.id != found) and self._failed.get(domain, 0.0) <= now:
            try:
                kept = read_policy(await self._fetch(f"mta-sts.{domain}", PATH, MAX_POLICY), found, now)
                self._store.keep_policy(domain, kept)
            except (OSError, ValueError):
                self._failed[domain] = now + FETCH_AGAIN_SECONDS
                self._failed.move_to_end(domain)
                while len(self._failed) > MAX_FAILURES:
                    self._failed.popitem(last=False)
        return kept if kept is not None and kept.mode != "none" else None
