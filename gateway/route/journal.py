"""Which journals get a copy of a message (`gatepostJournal`): those of the domains whose people it is from or for.

An account belongs to the domain of its primary address; an address that was written to counts too, so the journal of
a domain has what was sent to its aliases and lists. The domain of the sender sees all recipients. Another one sees
those that concern it, for who else got a blind copy is none of its business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from directory.model import domain_of
from directory.port import Directory
from gateway.mail.envelope import EnvelopeRecipient
from gateway.route.plan import Discard, Instructions, Local, Plan, RemoteLmtp

_WITH_HOLDER = (Local, RemoteLmtp, Instructions, Discard)


@dataclass(frozen=True, slots=True)
class Journal:
    """One copy: for `addresses`, in the name of `domain`, naming the recipients with these numbers."""

    domain: str
    addresses: tuple[str, ...]
    recipients: tuple[int, ...]


def concern_journals(directory: Directory, senders: Iterable[str], recipients: Sequence[EnvelopeRecipient]) -> bool:
    """True when there is a journal that wants a copy: asked for every message, so that others cost next to nothing."""
    names = {sender.rpartition("@")[2] for sender in senders}
    for recipient in recipients:
        names.update(_domains(recipient))
    return any((domain := directory.domain(domain_of(name))) is not None and domain.journal for name in names)


def journals(
    directory: Directory, senders: Iterable[str], recipients: Sequence[EnvelopeRecipient]
) -> tuple[Journal, ...]:
    """The copies of a message; `senders` are addresses of whoever proved that it is his. No address gets two."""
    concerned: dict[str, set[int]] = {}
    for number, recipient in enumerate(recipients):
        for name in _domains(recipient):
            concerned.setdefault(name, set()).add(number)
    for sender in senders:
        concerned[sender.rpartition("@")[2].lower()] = set(range(len(recipients)))
    seen: dict[str, tuple[str, set[int]]] = {}
    for name, numbers in concerned.items():
        domain = directory.domain(domain_of(name))
        if domain is None or not domain.journal:
            continue
        for address in domain.journal:
            seen.setdefault(address.lower(), (domain.name, set()))[1].update(numbers)
    alike: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for address, (domain_name, numbers) in seen.items():
        alike.setdefault((domain_name, tuple(sorted(numbers))), []).append(address)
    return tuple(Journal(name, tuple(addresses), numbers) for (name, numbers), addresses in alike.items())


def _domains(recipient: EnvelopeRecipient) -> Iterator[str]:
    """Domains that mail for a recipient concerns, lower case: as it was written to, and of whoever gets it."""
    yield recipient.address.rpartition("@")[2].lower()
    plan: Plan | None = recipient.route
    for step in plan.steps if plan is not None else ():
        if isinstance(step, _WITH_HOLDER):
            yield (step.holder.primary or step.recipient).rpartition("@")[2].lower()
        else:
            yield step.recipient.rpartition("@")[2].lower()
