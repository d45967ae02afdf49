"""Who the members of a list are, and the one address by which a member is known to it.

A member is known by his primary address, or by the address that the list holds where it names no entry. Scores of
bounces, parking and tokens all go by it.
"""

from __future__ import annotations

from collections.abc import Iterator

from directory.model import Entry, Group, InvalidAddress, MailingList, Recipient, canonical_address
from directory.port import MAX_GROUPS, Directory
from gateway.route.member_url import parse


def known_as(member: Entry | str) -> str:
    """The canonical address by which a list knows a member; "" for an entry without address."""
    text = member if isinstance(member, str) else member.primary if isinstance(member, Recipient) else None
    try:
        return str(canonical_address(text)) if text else ""
    except InvalidAddress:
        return ""


def members(directory: Directory, mailing_list: MailingList) -> Iterator[tuple[str, Entry | None]]:
    """(address, entry) of each member, those in groups too; a list in the list is one member. None = an address."""
    seen: set[str] = set()
    waiting = [entry for dn in _names(mailing_list) if (entry := directory.by_dn(dn)) is not None]
    for url in mailing_list.member_urls:
        try:
            waiting.extend(directory.search(*parse(url)))
        except ValueError:  # somebody's typing error in one URL
            continue
    groups = 0
    while waiting:
        entry = waiting.pop()
        if entry.id in seen:
            continue
        seen.add(entry.id)
        if isinstance(entry, Group) and groups < MAX_GROUPS:
            groups += 1
            waiting += [found for dn in _names(entry) if (found := directory.by_dn(dn)) is not None]
        elif address := known_as(entry):
            yield address, entry
    for text in mailing_list.member_addresses:
        if address := known_as(text):
            yield address, None


def _names(entry: MailingList | Group) -> tuple[str, ...]:
    return entry.members + entry.unique_members


def people(directory: Directory, names: tuple[str, ...], addresses: tuple[str, ...]) -> tuple[str, ...]:
    """The addresses of those named by distinguished name, those in groups too, and by address; each once."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = list(reversed(names))
    while waiting and len(seen) < MAX_GROUPS:
        entry = directory.by_dn(waiting.pop())
        if entry is None or entry.id in seen:
            continue
        seen.add(entry.id)
        if isinstance(entry, Group):
            waiting += _names(entry)
        elif address := known_as(entry):
            found[address] = None
    found.update((address, None) for text in addresses if (address := known_as(text)))
    return tuple(found)
