"""New entries of Gatepost's own schema: their names, object classes and what must stand in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ldap3.utils.dn import escape_rdn

from directory.model import (
    Account,
    Alias,
    Domain,
    Entry,
    InvalidAddress,
    MailingList,
    SharedMailbox,
    canonical_address,
    canonical_domain,
)
from directory.settings import DirectorySettings
from directory.write_problem import Invalid

_LOGIN = re.compile(r"[\w][\w.@+-]{0,63}\Z")
MAX_NAME = 200  # characters


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What to add."""

    kind: type[Entry]
    dn: str
    classes: tuple[str, ...]
    values: Mapping[str, Sequence[str]]


def _dn(attribute: str, value: str, place: str, base: str) -> str:
    return ",".join(part for part in (f"{attribute}={escape_rdn(value)}", place, base) if part)


def _addresses(texts: Sequence[str]) -> dict[str, list[str]]:
    """gatepostAddress with all of them, and the first as the primary one. Raises Invalid."""
    found = []
    for text in texts:
        try:
            found.append(str(canonical_address(text.strip())))
        except InvalidAddress as error:
            raise Invalid(f"{text!r}: {error}") from None
    primary = "mail" if found[0].isascii() else "gatepostPrimaryAddress"
    return {"gatepostAddress": list(dict.fromkeys(found)), primary: [found[0]]}


def _name(text: str, what: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise Invalid(f"{what} has 1 to {MAX_NAME} printable characters")
    return name


def person(settings: DirectorySettings, login: str, name: str, addresses: Sequence[str]) -> NewEntry:
    """Somebody who logs in and has a mailbox. Raises Invalid."""
    if not _LOGIN.match(login):
        raise Invalid(f"{login!r}: a login has 1 to 64 letters, digits, and . _ - + @ after the first")
    name = _name(name, "the name of a person")
    return NewEntry(
        Account,
        _dn("uid", login, settings.places.people, settings.base),
        ("inetOrgPerson", "gatepostAccount"),
        {"uid": [login], "cn": [name], "sn": [name.rpartition(" ")[2]], "displayName": [name], **_addresses(addresses)},
    )


def alias(settings: DirectorySettings, address: str) -> NewEntry:
    """An address that stands for others. Raises Invalid."""
    values = _addresses([address])
    return _carrier(settings, Alias, "gatepostAlias", values["gatepostAddress"][0], settings.places.aliases, values)


def mailing_list(settings: DirectorySettings, address: str, name: str) -> NewEntry:
    """A mailing list; it may be empty. Raises Invalid."""
    values = _addresses([address])
    if name:
        values["displayName"] = [_name(name, "the name of a list")]
    return _carrier(settings, MailingList, "gatepostList", values["gatepostAddress"][0], settings.places.lists, values)


def shared_mailbox(settings: DirectorySettings, address: str, name: str) -> NewEntry:
    """A mailbox that several people work on. Raises Invalid."""
    values = _addresses([address])
    if name:
        values["displayName"] = [_name(name, "the name of a shared mailbox")]
    cn = values["gatepostAddress"][0]
    return _carrier(settings, SharedMailbox, "gatepostSharedMailbox", cn, settings.places.aliases, values)


def domain(settings: DirectorySettings, name: str) -> NewEntry:
    """A mail domain. Raises Invalid."""
    try:
        label = canonical_domain(name.strip())
    except InvalidAddress as error:
        raise Invalid(f"{name!r}: {error}") from None
    values = {"gatepostDomainName": [label]}
    if label != name.strip().lower():
        values["description"] = [_name(name, "the domain")]
    return _carrier(settings, Domain, "gatepostDomain", label, settings.places.domains, values)


def _carrier(
    settings: DirectorySettings, kind: type[Entry], object_class: str, cn: str, place: str, values: dict[str, list[str]]
) -> NewEntry:
    return NewEntry(kind, _dn("cn", cn, place, settings.base), ("gatepostEntry", object_class), {"cn": [cn], **values})
