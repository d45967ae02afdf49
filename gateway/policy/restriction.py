"""Who may send to a recipient, and how much: `gatepostAcceptFrom`, `gatepostRejectFrom`, `gatepostMaxMessageSize`."""

from __future__ import annotations

from dataclasses import dataclass

from directory.model import (
    Condition,
    Entry,
    InvalidAddress,
    MailingList,
    Recipient,
    Refused,
    canonical_address,
    canonical_domain,
)
from directory.port import Directory, is_one_of
from gateway.policy.originator import forms


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends. `account` is the authenticated entry, None for mail from outside; `return_path` "" for `<>`."""

    return_path: str
    account: Entry | None


def _entry(directory: Directory, sender: Sender) -> Entry | None:
    """The directory's entry of the sender: the login, else whoever owns the return path."""
    if sender.account is not None or not sender.return_path:
        return sender.account
    try:
        for form in forms(directory, sender.return_path):
            owners = directory.owners(form)
            if owners:
                return owners[0]
    except InvalidAddress:
        pass
    return None


def _domain_matches(directory: Directory, sender: Sender, wanted: str) -> bool:
    _, _, domain = sender.return_path.rpartition("@")
    try:
        return bool(domain) and canonical_domain(domain) == canonical_domain(wanted)
    except InvalidAddress:
        return False


def _people(recipient: Recipient, word: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(distinguished names, addresses) that `word` stands for at this recipient."""
    if isinstance(recipient, MailingList):
        if word == "members":
            return recipient.members + recipient.unique_members, recipient.member_addresses
        if word == "moderators":
            return recipient.moderators, recipient.moderator_addresses
        return recipient.owners, recipient.owner_addresses
    return (getattr(recipient, "owners", ()), ()) if word == "owners" else ((), ())


def _matches(directory: Directory, recipient: Recipient, sender: Sender, term: str) -> bool:
    word = term.strip().lower()
    if word == "any":
        return True
    if word == "authenticated":
        return sender.account is not None
    if word == "local":
        _, _, domain = sender.return_path.rpartition("@")
        try:
            return bool(domain) and directory.domain(canonical_domain(domain)) is not None
        except InvalidAddress:
            return False
    if word.startswith("@"):
        return _domain_matches(directory, sender, word[1:])
    entry = _entry(directory, sender)
    if word in ("members", "owners", "moderators"):
        names, addresses = _people(recipient, word)
        if sender.return_path and _is_address_of(sender, addresses):
            return True
        return entry is not None and is_one_of(directory, entry, names)
    if "=" in word and "@" not in word.partition("=")[0]:
        return entry is not None and is_one_of(directory, entry, (term,))
    return _is_address_of(sender, (word,))


def _is_address_of(sender: Sender, addresses: tuple[str, ...]) -> bool:
    try:
        own = canonical_address(sender.return_path)
    except InvalidAddress:
        return False
    for address in addresses:
        try:
            if canonical_address(address) == own:
                return True
        except InvalidAddress:
            continue
    return False


def refusal(directory: Directory, recipient: Recipient, sender: Sender) -> Refused | None:
    """Why `sender` may not send to `recipient`, None when he may."""
    if any(_matches(directory, recipient, sender, term) for term in recipient.reject_from):
        return Refused(Condition.NOT_ALLOWED_TO_SEND_HERE, f"{recipient.dn}: gatepostRejectFrom")
    accept = recipient.accept_from
    if accept and not any(_matches(directory, recipient, sender, term) for term in accept):
        return Refused(Condition.NOT_ALLOWED_TO_SEND_HERE, f"{recipient.dn}: not in gatepostAcceptFrom")
    return None


def too_large(recipient: Recipient, size: int | None) -> Refused | None:
    """Why a message of `size` octets (None = unknown) is too large for `recipient`; a limit of 0 is none."""
    if size is not None and recipient.max_message_size and size > recipient.max_message_size:
        return Refused(Condition.MESSAGE_TOO_LARGE_FOR_RECIPIENT, f"{recipient.dn}: gatepostMaxMessageSize")
    return None
