"""What quota commands ask, and what they get."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class QuotaOf:
    """The quota that holds for a mailbox. Answer: `Quota`, None when there is no such mailbox."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class QuotaOfRoot:
    """The quota of a root. Answer: `Quota`, None when there is no such root that the account may see."""

    root: str


@dataclass(frozen=True, slots=True)
class Quota:
    """What is used of a store and the limits that hold now; a limit of 0 is none."""

    root: str
    octets: int
    octet_limit: int
    messages: int
    message_limit: int


#: a warning, when a mailbox is selected and when something is added (RFC 9208 4.3.1)
OVER_SOFT = b"* NO [OVERQUOTA] the soft quota is exceeded\r\n"
