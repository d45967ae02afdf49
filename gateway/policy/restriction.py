"""Who may send to a recipient, and how much: `gatepostAcceptFrom`, `gatepostRejectFrom`, `gatepostMaxMessageSize`.

Somebody who is logged in is who he is; of mail from outside only the return path is known. `members` are those whom
the list reaches by any way: distinguished names, groups, searches, addresses, lists in the list.
"""

from __future__ import annotations

from contextlib import suppress
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
from directory.port import MAX_GROUPS, Directory, is_one_of
from gateway.policy.originator import forms
from gateway.route.member_url import parse


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends. `account` is the authenticated entry, None for mail from outside; `return_path` "" for `<>`.
    `separators` are those of extensions (`route.extension_separator`)."""

    return_path: str
    account: Entry | None
    separators: str


def _entry(directory: Directory, sender: Sender) -> Entry | None:
    """The directory's entry of the sender: the login, else whoever owns the return path."""
    if sender.account is not None or not sender.return_path:
        return sender.account
    try:
        for form in forms(directory, sender.return_path, sender.separators):
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
        if word == "moderators":
            return recipient.moderators, recipient.moderator_addresses
        return recipient.owners, recipient.owner_addresses
    return (getattr(recipient, "owners", ()), ()) if word == "owners" else ((), ())


def _is_member(directory: Directory, recipient: MailingList, sender: Sender, entry: Entry | None) -> bool:
    """True when the sender is a member of the list or of a list in it."""
    seen: set[str] = set()
    waiting = [recipient]
    while waiting and len(seen) < MAX_GROUPS:
        one = waiting.pop()
        if one.id in seen:
            continue
        seen.add(one.id)
        names = one.members + one.unique_members
        if _is_address_of(sender, entry, one.member_addresses):
            return True
        if entry is not None and (is_one_of(directory, entry, names) or _is_found(directory, one, entry)):
            return True
        waiting += [found for name in names if isinstance(found := directory.by_dn(name), MailingList)]
    return False


def _is_found(directory: Directory, mailing_list: MailingList, entry: Entry) -> bool:
    for url in mailing_list.member_urls:
        try:
            if any(found.id == entry.id for found in directory.search(*parse(url))):
                return True
        except ValueError:  # somebody's typing error in one URL
            continue
    return False


def is_of(directory: Directory, recipient: Recipient, sender: Sender, word: str) -> bool:
    """True when the sender is one of the `members`, `owners` or `moderators`."""
    return _matches(directory, recipient, sender, word)


def is_moderated(directory: Directory, recipient: Recipient, sender: Sender) -> bool:
    """True when moderators see a post first: `gatepostModeration`, and he is not one of them, logged in."""
    if not isinstance(recipient, MailingList):
        return False
    moderation = recipient.moderation.strip().lower()
    if moderation == "none":
        return False
    if sender.account is not None and any(
        is_of(directory, recipient, sender, word) for word in ("moderators", "owners")
    ):
        return False
    # a value that nobody understands holds everything: the careful reading
    return moderation != "nonmembers" or not is_of(directory, recipient, sender, "members")


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
    if word == "members" and isinstance(recipient, MailingList):
        return _is_member(directory, recipient, sender, entry)
    if word in ("members", "owners", "moderators"):
        names, addresses = _people(recipient, word)
        if _is_address_of(sender, entry, addresses):
            return True
        return entry is not None and is_one_of(directory, entry, names)
    if "=" in word and "@" not in word.partition("=")[0]:
        return entry is not None and is_one_of(directory, entry, (term,))
    return _is_address_of(sender, entry, (word,))


def _is_address_of(sender: Sender, entry: Entry | None, addresses: tuple[str, ...]) -> bool:
    """True when one of the addresses is the return path, or belongs to the entry of the sender."""
    own = set(entry.addresses) if isinstance(entry, Recipient) else set()
    with suppress(InvalidAddress):
        own.add(str(canonical_address(sender.return_path)))
    for address in addresses if own else ():
        with suppress(InvalidAddress):
            if str(canonical_address(address)) in own:
                return True
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
