"""A control verb that tells which DNS records a domain needs, and looks whether they are there.

In the queue runner, which has the DKIM keys and asks the DNS anyway. Only names at or below the domain are asked for, and
the TLSA record of this host; all at the same time, and for a few seconds in all.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from directory.model import Deferred, Domain, InvalidAddress, canonical_domain
from directory.port import Directory
from directory.rights import Actor
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.deliver.resolve import Kind, Mx, Resolve, Srv, Tlsa
from gateway.mail.published import Judged, Wanted, basic, dkim, judge, tlsa
from gateway.service.runner_actors import Actors
from gateway.service.signing import FOLDER, key_path, load_key

ASK_SECONDS = 12.0
MAX_ALSO = 40
MAX_KEYS = 8
MAX_NAME = 253


class AlsoWanted(msgspec.Struct, forbid_unknown_fields=True):
    """A record that whoever asks publishes for the domain."""

    purpose: Annotated[str, msgspec.Meta(max_length=40)]
    name: Annotated[str, msgspec.Meta(max_length=MAX_NAME)]
    kind: Literal["TXT", "SRV", "HOST"]
    value: Annotated[str, msgspec.Meta(max_length=1000)]


class DomainDns(msgspec.Struct, forbid_unknown_fields=True):
    """The domain, by name or alias, and what it needs beside the records of mail itself."""

    name: str
    also: Annotated[tuple[AlsoWanted, ...], msgspec.Meta(max_length=MAX_ALSO)] = ()


class DnsVerb:
    """The verb's function; it runs in a thread."""

    def __init__(
        self, directory: Directory, actors: Actors, resolve: Resolve, hostname: str, state_dir: Path, certificate: str
    ) -> None:
        self._directory, self._actors, self._resolve = directory, actors, resolve
        self._hostname, self._keys, self._certificate = hostname.lower(), state_dir / FOLDER, certificate

    def verbs(self) -> Mapping[str, Verb]:
        """The row of the table."""
        return {"domain-dns": Verb(Right.ACT, self._look, DomainDns)}

    def _domain(self, actor: Actor, name: str) -> tuple[Domain, str]:
        """The domain, and which of its names is meant. Raises VerbError."""
        try:
            label = canonical_domain(name)
        except InvalidAddress as error:
            raise VerbError(f"{name!r}: {error}", 2) from None

        async def look() -> Domain | None:
            found = self._directory.domain(label)
            return found if found is not None and self._actors.rights.may_see(actor, found) else None

        found = self._actors.in_loop(look)
        if found is None:
            raise VerbError(f"there is no domain {name!r} that you may look at", 1)
        return found, label

    def _look(self, caller: Caller, wanted: DomainDns) -> list[dict[str, Any]]:
        actor = self._actors.actor(caller)
        domain, name = self._domain(actor, wanted.name)
        records = [*basic(name, self._hostname), *self._dkim(name), *self._tlsa()]
        for also in wanted.also:
            label = also.name.lower().removesuffix(".")
            if label != name and not label.endswith(f".{name}"):
                raise VerbError(f"{also.name} is not below {name}", 2)
            records.append(Wanted(also.purpose, label, also.kind, also.value))
        found = self._actors.in_loop(lambda: self._judge_all(records), ASK_SECONDS + 3)
        tells = self._actors.rights.is_administrator(
            actor
        )  # why a name server does not answer is the operator's business
        signing = set(domain.dkim_selectors)
        return [
            {**asdict(each.wanted), "state": each.state, "found": each.found if each.state != "unknown" or tells else (),
             "in_use": each.wanted.purpose != "dkim" or each.wanted.name.partition(".")[0] in signing}
            for each in found
        ]  # fmt: skip

    def _dkim(self, name: str) -> list[Wanted]:
        found = []
        for path in sorted((self._keys / name).glob("[!.]*.pem"))[:MAX_KEYS]:
            try:
                found.append(dkim(name, path.stem, load_key(key_path(self._keys, name, path.stem), name, path.stem)[1]))
            except (OSError, ValueError):
                continue  # told by `gatepost doctor directory`
        return found

    def _tlsa(self) -> list[Wanted]:
        if not self._certificate or "." not in self._hostname:
            return []
        try:
            key = x509.load_pem_x509_certificate(Path(self._certificate).read_bytes()).public_key()
        except (OSError, ValueError):
            return []
        octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return [tlsa(self._hostname, hashlib.sha256(octets).hexdigest())]

    async def _judge_all(self, records: list[Wanted]) -> list[Judged]:
        tasks = [asyncio.ensure_future(self._judge(wanted)) for wanted in records]
        await asyncio.wait(tasks, timeout=ASK_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return [
            Judged(wanted, "unknown") if task.cancelled() else task.result()
            for wanted, task in zip(records, tasks, strict=True)
        ]

    async def _judge(self, wanted: Wanted) -> Judged:
        try:
            if wanted.kind == "HOST":
                return judge(wanted, (await self._resolve.addresses(wanted.name)).values)
            kind: Kind = wanted.kind
            return judge(wanted, map(_text, (await self._resolve.ask(wanted.name, kind)).values))
        except Deferred as error:
            return Judged(wanted, "unknown", (error.detail or error.text,))


def _text(value: object) -> str:
    """A record as a zone file has it."""
    if isinstance(value, Mx):
        return f"{value.preference} {value.host}."
    if isinstance(value, Srv):
        return f"{value.priority} {value.weight} {value.port} {value.host}."
    if isinstance(value, Tlsa):
        return f"{value.usage} {value.selector} {value.matching} {value.data.hex()}"
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
