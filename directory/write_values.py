"""From what a person types to what the directory keeps, field by field; errors say what is allowed.

A field is named as in the model (`quota`) or as in the directory (`gatepostQuota`), in any case.
"""

from __future__ import annotations

import calendar
import dataclasses
import ipaddress
import re
import time
from collections.abc import Callable

from directory.model import (
    Account,
    Alias,
    Domain,
    Entry,
    InvalidAddress,
    MailingList,
    Recipient,
    ServiceAccount,
    SharedMailbox,
    canonical_address,
    canonical_domain,
)
from directory.model.attribute import ADDRESS, BOOLEAN, DN, HOST, INTEGER, TIME, Facts, is_multi
from directory.model.extension_rule import parse_rule
from directory.model.send_limit import parse_limit
from directory.model.units import read_seconds, read_size
from directory.profile_source import WORDS
from directory.profile_text import nearest
from directory.raw import canonical_dn
from directory.write_problem import Invalid

MAX_VALUE = 4096  # characters
MAX_NUMBER = (1 << 63) - 1
#: fields that hold octets; other numbers are counts or seconds
_SIZES = frozenset({"quota", "quota_soft", "max_message_size", "domain_quota"})
_SECONDS = frozenset({"quota_grace"})
#: fields that hold several lines
_LINES = frozenset({"vacation_text"})
#: words that stand where an address may stand
_SENDERS = frozenset({"any", "local", "authenticated", "members", "owners", "moderators"})
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d))?Z?)?\Z")
_YES, _NO = frozenset({"yes", "true", "on", "1"}), frozenset({"no", "false", "off", "0"})

#: a model class, as people say it
KIND_IN_WORDS: dict[type[Entry], str] = {
    Account: "an account", Alias: "an alias", MailingList: "a mailing list", SharedMailbox: "a shared mailbox",
    ServiceAccount: "a service account", Domain: "a domain", Recipient: "an entry with addresses",
}  # fmt: skip

#: text of a person -> distinguished name of the entry he means. Raises Invalid.
FindDn = Callable[[str], str]


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A field of a model class, with its LDAP facts."""

    name: str
    facts: Facts
    is_multi: bool


def fields_of(kind: type[Entry]) -> dict[str, Field]:
    """Every field of a model class that stands in an attribute, by name."""
    found = {}
    for field in dataclasses.fields(kind):
        facts: Facts | None = field.metadata.get("ldap")
        if facts is not None:
            found[field.name] = Field(field.name, facts, is_multi(field) or "tuple" in str(field.type))
    return found


def field_named(kind: type[Entry], word: str) -> Field:
    """The field that a person means. Raises Invalid with the nearest name, or when it is reserved."""
    known = fields_of(kind)
    wanted = word.strip().lower().replace("-", "_")
    for field in known.values():
        if wanted in (field.name, field.facts.ldap_name.lower()):
            if field.facts.since is None:
                raise Invalid(f"{word}: {field.facts.ldap_name} is reserved, this version does not honour it")
            return field
    usable = [name for name, field in known.items() if field.facts.since is not None]
    raise Invalid(f"{KIND_IN_WORDS.get(kind, kind.__name__)} has no attribute so named: {nearest(wanted, usable)}")


def encode(field: Field, text: str, find: FindDn) -> str:
    """The attribute's value for what a person typed. Raises Invalid."""
    text = text.strip()
    try:
        if not text:
            raise ValueError("a value is needed; to remove the attribute, write nothing behind the =")
        shown = text.replace("\n", " ") if field.name in _LINES else text
        if len(text) > MAX_VALUE or not shown.isprintable():
            raise ValueError(f"at most {MAX_VALUE} printable characters are allowed")
        return _encode(field, text, find)
    except (ValueError, InvalidAddress) as error:
        raise Invalid(f"{field.name}: {error}") from None


def _encode(field: Field, text: str, find: FindDn) -> str:
    syntax, name = field.facts.syntax, field.name
    if name in WORDS:
        word = text.lower()
        if word not in WORDS[name]:
            raise ValueError(nearest(word, WORDS[name]))
        return word
    if syntax is INTEGER:
        return str(_number(name, text))
    if syntax is BOOLEAN:
        if text.lower() in _YES | _NO:
            return "TRUE" if text.lower() in _YES else "FALSE"
        raise ValueError(f"{text!r} is not yes or no")
    if syntax is TIME:
        return _time(text)
    if syntax is DN:
        return find(text)
    if syntax is ADDRESS:
        return _address(name, text)
    if name in ("name", "aliases") and syntax is HOST:
        return canonical_domain(text)
    if name == "allow_net":
        try:
            return str(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ValueError(f"{text!r} is no network such as 192.0.2.0/24 or 2001:db8::/32") from None
    if name in ("send_limits", "domain_send_limits"):
        parse_limit(text)
    if name == "extensions":
        parse_rule(text)
    if name == "member_urls" and not text.lower().startswith("ldap:///"):
        raise ValueError(f"{text!r} is no search such as ldap:///ou=people,o=example??sub?(departmentNumber=sales)")
    return text


def _number(name: str, text: str) -> int:
    if name in _SIZES:
        number = read_size(text)
    elif name in _SECONDS:
        number = int(read_seconds(text))
    elif text.isascii() and text.isdigit():
        number = int(text)
    else:
        raise ValueError(f"{text!r} is not a number, 0 or more")
    if number > MAX_NUMBER:
        raise ValueError(f"{text!r} is too large")
    return number


def _time(text: str) -> str:
    found = _DATE.match(text)
    if found is None:
        if re.fullmatch(r"\d{14}Z", text):
            return text
        raise ValueError(f"{text!r} is no date such as 2027-01-31 or 2027-01-31 18:00 (UTC)")
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    stamp = calendar.timegm((year, month, day, hour, minute, second))
    formatted = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(stamp))
    if formatted != f"{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z":
        raise ValueError(f"{text!r} is no date of the calendar")
    return formatted


def _address(name: str, text: str) -> str:
    if name in ("accept_from", "reject_from") and text.lower() in _SENDERS:
        return text.lower()
    if name in ("accept_from", "reject_from", "send_as") and text.startswith("@"):
        return f"@{canonical_domain(text[1:])}"
    if name == "reply_to" and text.lower() in ("sender", "list"):
        return text.lower()
    address = canonical_address(text)
    if name == "mail" and not str(address).isascii():
        raise ValueError("mail holds ASCII only; write the address as primary_address")
    return str(address)


#: equality rule of an attribute -> the form under which two values are one
SAME: dict[str, Callable[[str], str]] = {
    "distinguishedNameMatch": canonical_dn, "caseExactMatch": str, "caseExactIA5Match": str, "integerMatch": str,
}  # fmt: skip


def is_text(value: bytes) -> bool:
    """False for octets that a journal of texts cannot keep."""
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_OPERATIONAL = frozenset({
    "entryuuid", "entrycsn", "entrydn", "structuralobjectclass", "creatorsname", "createtimestamp", "modifiersname",
    "modifytimestamp", "hassubordinates", "subschemasubentry", "memberof", "contextcsn", "numsubordinates", "nsuniqueid",
})  # fmt: skip


def is_operational(name: str) -> bool:
    """True for attributes (lower case) that the server itself writes."""
    return name in _OPERATIONAL or name.startswith("pwd")
