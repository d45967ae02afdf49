"""The vocabulary that directory, gateway and web share: addresses, entries, conditions. Pure."""

from directory.model.address import (
    Address,
    InvalidAddress,
    canonical_address,
    canonical_domain,
    domain_of,
    split_address,
)
from directory.model.attribute import ADMIN, SELF, attribute, standard
from directory.model.condition import Condition, Deferred, Refused
from directory.model.entries import (
    Account,
    Alias,
    AppPassword,
    Domain,
    Entry,
    Group,
    MailboxHolder,
    MailingList,
    Recipient,
    ServiceAccount,
    SharedMailbox,
)

__all__ = [
    "ADMIN",
    "SELF",
    "Account",
    "Address",
    "Alias",
    "AppPassword",
    "Condition",
    "Deferred",
    "Domain",
    "Entry",
    "Group",
    "InvalidAddress",
    "MailboxHolder",
    "MailingList",
    "Recipient",
    "Refused",
    "ServiceAccount",
    "SharedMailbox",
    "attribute",
    "canonical_address",
    "canonical_domain",
    "domain_of",
    "split_address",
    "standard",
]
