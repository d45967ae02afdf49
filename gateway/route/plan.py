"""A delivery plan: what happens to a message for one recipient.

`return_path` of a step is None where the message keeps its own (alias and forward, RFC 5598 5.1) and the
list's address where a list takes over (5.3). A message from `<>` keeps `<>` everywhere, so that no report
about a report goes round. `mailing_list` is the list whose copy this is: the one that was written to, where lists
stand in lists.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from directory.model import Deferred, MailboxHolder, MailingList, Recipient, Refused


@dataclass(frozen=True, slots=True)
class Local:
    """Put it into the store of `holder`; `recipient` is the address as the envelope gave it."""

    holder: MailboxHolder
    recipient: str
    return_path: str | None = None
    mailing_list: MailingList | None = field(default=None, compare=False)
    #: the mailbox that gets it where it exists, "" = INBOX
    mailbox: str = ""
    #: it goes to the mailbox for junk
    is_junk: bool = field(default=False, compare=False)

    @property
    def target(self) -> str:
        """What two steps that do the same have in common."""
        return f"account {self.holder.id} {self.mailbox}" if self.mailbox else f"account {self.holder.id}"


@dataclass(frozen=True, slots=True)
class Remote:
    """Send it on to an address outside."""

    recipient: str
    return_path: str | None = None
    mailing_list: MailingList | None = field(default=None, compare=False)

    @property
    def target(self) -> str:
        return f"address {self.recipient.lower()}"


@dataclass(frozen=True, slots=True)
class RemoteLmtp:
    """Hand it by LMTP to the gateway `host` that holds the mailbox of `holder`."""

    host: str
    holder: MailboxHolder
    recipient: str
    return_path: str | None = None
    mailing_list: MailingList | None = field(default=None, compare=False)
    #: his rules for it and his forwards are left to that host; None = they were followed
    extension: str | None = field(default=None, compare=False)

    @property
    def target(self) -> str:
        return f"account {self.holder.id}"


@dataclass(frozen=True, slots=True)
class Discard:
    """Take it and throw it away, because a rule of `holder` says so."""

    holder: MailboxHolder
    recipient: str
    return_path: str | None = None
    mailing_list: MailingList | None = field(default=None, compare=False)

    @property
    def target(self) -> str:
        return f"discard {self.holder.id}"


@dataclass(frozen=True, slots=True)
class Instructions:
    """Follow the rules of `holder` for `extension` with the message in hand. Done by the queue runner."""

    holder: MailboxHolder
    recipient: str
    extension: str
    return_path: str | None = None
    mailing_list: MailingList | None = field(default=None, compare=False)

    @property
    def target(self) -> str:
        return f"rules {self.holder.id} {self.extension}"


@dataclass(frozen=True, slots=True)
class ListMail:
    """Mail that a list takes for itself: a bounce of what it sent, a request, a post that waits for moderators.

    Done by the queue runner.
    """

    service_of: MailingList = field(compare=False)
    recipient: str
    kind: Literal["bounce", "request", "post"]
    token: str = ""
    return_path: str | None = None
    mailing_list: MailingList | None = field(default=None, compare=False)

    @property
    def target(self) -> str:
        return f"list {self.kind} {self.service_of.id} {self.token}"


@dataclass(frozen=True, slots=True)
class Later:
    """Ask again later: one of several targets that cannot take mail at the moment, for `reason`.

    `account` is the id of the entry, or "" where only the address is known.
    """

    recipient: str
    account: str
    reason: Deferred = field(compare=False)
    return_path: str | None = None
    mailing_list: MailingList | None = field(default=None, compare=False)

    @property
    def target(self) -> str:
        return f"account {self.account}" if self.account else f"address {self.recipient.lower()}"


Step: TypeAlias = Local | Remote | RemoteLmtp | Discard | Instructions | ListMail | Later


@dataclass(frozen=True, slots=True)
class Lost:
    """One of several targets that will never take this mail: logged, the others get theirs."""

    recipient: str
    reason: Refused = field(compare=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps for one recipient, duplicates removed; there is at least one.

    `entry` is what the address belongs to, None for an address outside or a catch-all: who may send
    there, and how much, is asked of it.
    """

    steps: tuple[Step, ...]
    entry: Recipient | None = None
    lost: tuple[Lost, ...] = ()

    @property
    def is_local(self) -> bool:
        """True when every step is a store of this host, rules or a service of its lists, or none."""
        return all(type(step) in (Local, Discard, Instructions, ListMail) for step in self.steps)
