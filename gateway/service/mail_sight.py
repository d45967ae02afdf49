"""What somebody may see of mail on its way: the whole of it, or what concerns the domains that he administers.

Mail concerns a domain when it goes to an address in it, or when somebody whose every address lies in such domains
submitted it. A return path counts for nothing: everybody may write one.
"""

from __future__ import annotations

from dataclasses import dataclass

from directory.model import InvalidAddress, Recipient, canonical_domain
from directory.rights import READS_ONLY, Actor
from gateway.control.server import Caller, VerbError
from gateway.queue.file import QueuedEnvelope, Target
from gateway.service.runner_actors import Actors


@dataclass(frozen=True, slots=True)
class Seen:
    """A target that somebody may see: under which address, and whether the last answer is for him too."""

    number: int
    address: str
    with_reply: bool


def canonical(domain: str) -> str:
    """A domain as entries have it; what is none stays, in lower case."""
    try:
        return canonical_domain(domain)
    except InvalidAddress:
        return domain.lower()


class Sight:
    """Of one person, for one question; used in a thread."""

    def __init__(self, actors: Actors, actor: Actor, domains: frozenset[str] | None) -> None:
        """`domains` None: everything."""
        self._actors, self.actor, self.domains = actors, actor, domains
        self._owned: dict[str, bool] = {}

    @property
    def sees_all(self) -> bool:
        return self.domains is None

    def has(self, address: str) -> bool:
        """True for an address in his domains."""
        return self.domains is None or canonical(address.rpartition("@")[2]) in self.domains

    def owns(self, entry_id: str) -> bool:
        """True for an entry that has addresses, all of them in his domains."""
        if self.domains is None:
            return True
        if not entry_id or entry_id.startswith("uid "):
            return False
        if entry_id not in self._owned:
            entry = self._actors.directory.by_id(entry_id)
            addresses = entry.addresses if isinstance(entry, Recipient) else ()
            self._owned[entry_id] = bool(addresses) and all(map(self.has, addresses))
        return self._owned[entry_id]

    def name_of(self, owner: str) -> str:
        """Who submitted something, as people name him: the address of an entry, else what stands there."""
        entry = self._actors.directory.by_id(owner) if owner else None
        return str(getattr(entry, "primary", None) or owner)

    def targets(self, envelope: QueuedEnvelope) -> list[Seen]:
        """Those targets of a queued message that he may see; none = he does not learn that it is there."""
        sent = self.owns(envelope.login or envelope.owner)
        return [
            seen
            for number, target in enumerate(envelope.targets)
            if (seen := self._target(number, target, sent=sent)) is not None
        ]

    def _target(self, number: int, target: Target, *, sent: bool) -> Seen | None:
        if self.domains is None or self.has(target.address) or self.owns(target.account or target.list):
            return Seen(number, target.address, with_reply=True)
        if not sent or target.list:
            return None
        # where an alias or a forward of another domain led is its business
        return Seen(number, target.original or target.address, with_reply=not target.original)

    def covers(self, envelope: QueuedEnvelope) -> bool:
        """True for a queued message that is the business of his domains alone."""
        return len(self.targets(envelope)) == len(envelope.targets)


class Hand:
    """What one person may do to queued messages."""

    def __init__(self, changing: Sight) -> None:
        self._changing = changing

    @property
    def reaches_all(self) -> bool:
        """True for administrators."""
        return self._changing.sees_all

    def refusal(self, envelope: QueuedEnvelope) -> str:
        """ "" or why he may not hold, drop or hurry it."""
        sight = self._changing
        if sight.actor.reads_only:
            return READS_ONLY
        if sight.sees_all or sight.covers(envelope):
            return ""
        if not sight.domains:
            return "the help desk looks at waiting mail; who administers its domain changes it"
        return "this message is the business of other domains too; only administrators may change it"


def sight(actors: Actors, caller: Caller) -> tuple[Sight, Hand]:
    """Of the one who asks. Raises VerbError for people who may look at no mail but their own."""
    actor = actors.actor(caller)

    seen, changed = actors.rights.mail_domains(actor), actors.rights.mail_domains(actor, to_change=True)
    if seen is not None and not seen:
        raise VerbError("that is for people who administer mail", 5)
    return Sight(actors, actor, seen), Hand(Sight(actors, actor, changed))
