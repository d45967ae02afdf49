"""Reads entries page by page: all ids (the safety net against missed deletions), or whole entries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import ldap3

from directory.identity import entry_id
from directory.model import Condition, Deferred
from directory.raw import RawEntry
from directory.settings import DirectorySettings

PAGED = "1.2.840.113556.1.4.319"
#: operational attributes by name: versions, groups, and what tells the authenticator of passwords and failures
WANTED = [
    ldap3.ALL_ATTRIBUTES, "entryCSN", "modifyTimestamp", "memberOf",
    "pwdChangedTime", "pwdFailureTime", "pwdUpdateTime", "passwordRetryCount", "nsAccountLock",
]  # fmt: skip
#: Active Directory sends 1,500 values of an attribute and says so in its name
_RANGE = re.compile(r"(.+);range=(\d+)-(\d+|\*)\Z", re.IGNORECASE)
MAX_RANGES = 10_000
LIMITS = (3, 4, 11)  # timeLimitExceeded, sizeLimitExceeded, adminLimitExceeded (RFC 4511 appendix A)


class _Connection(Protocol):
    def search(self, search_base: str, search_filter: str, search_scope: Any, /, *args: Any, **options: Any) -> Any: ...


def pages(
    connection: ldap3.Connection, settings: DirectorySettings, filter_text: str, attributes: list[str]
) -> Iterator[list[tuple[str, dict[str, list[bytes]]]]]:
    """(dn, attributes) of the entries that match, a page at a time. Raises Deferred unless every page says 0."""
    cookie: bytes | str | None = None
    while True:
        _, result, response, _ = connection.search(
            settings.base,
            filter_text,
            ldap3.SUBTREE,
            ldap3.DEREF_NEVER,
            attributes=attributes,
            paged_size=settings.page_size,
            paged_cookie=cookie,
        )
        if result["result"] == 32:
            raise Deferred(
                Condition.DIRECTORY_UNAVAILABLE,
                f"directory.base {settings.base!r} does not exist, or directory.bind may not read it",
            )
        if result["result"] != 0:
            raise Deferred(Condition.DIRECTORY_UNAVAILABLE, f"search: {describe(result)}")
        yield [
            (entry["dn"], {name.lower(): list(values) for name, values in entry["raw_attributes"].items()})
            for entry in response or ()
            if entry["type"] == "searchResEntry"
        ]
        cookie = ((result.get("controls") or {}).get(PAGED) or {}).get("value", {}).get("cookie")
        if not cookie:
            return


def describe(result: Mapping[str, Any]) -> str:
    """A result that is not success, for an operator."""
    text = f"{result.get('description', result['result'])} {result.get('message') or ''}".strip()
    if result["result"] in LIMITS:
        return f"{text}: the server must let directory.bind read everything (olcLimits: size=unlimited time=unlimited)"
    return text


def visible_ids(
    connection: ldap3.Connection, settings: DirectorySettings, filter_text: str, id_attribute: str
) -> Iterator[tuple[str, ...]]:
    """The ids of all entries that the service account sees."""
    for page in pages(connection, settings, filter_text, [id_attribute]):
        yield tuple(
            entry_id(settings.source, id_attribute, attributes[id_attribute.lower()][0])
            for _, attributes in page
            if attributes.get(id_attribute.lower())
        )


def raw_entries(
    connection: ldap3.Connection, settings: DirectorySettings, filter_text: str, id_attribute: str
) -> Iterator[tuple[RawEntry, ...]]:
    """Whole entries that match."""
    for page in pages(connection, settings, filter_text, [*WANTED, id_attribute]):
        yield tuple(
            RawEntry(
                entry_id(settings.source, id_attribute, attributes[id_attribute.lower()][0]),
                dn,
                whole(connection, dn, attributes),
            )
            for dn, attributes in page
            if attributes.get(id_attribute.lower())
        )


def whole(connection: _Connection, dn: str, attributes: dict[str, list[bytes]]) -> dict[str, list[bytes]]:
    """`attributes` with all values of those that the server sent in part (`member;range=0-1499`). Raises Deferred."""
    parts = {name: match for name in attributes if (match := _RANGE.match(name))}
    if not parts:
        return attributes
    result = {name: values for name, values in attributes.items() if name not in parts}
    for name, match in parts.items():
        values, match_now = list(attributes[name]), match
        for _ in range(MAX_RANGES):
            if match_now[3] == "*":
                break
            wanted = f"{match[1]};range={int(match_now[3]) + 1}-*"
            _, answer, response, _ = connection.search(
                dn, "(objectClass=*)", ldap3.BASE, ldap3.DEREF_NEVER, attributes=[wanted]
            )
            found = [
                (again, more)
                for entry in response or ()
                if entry["type"] == "searchResEntry"
                for key, more in entry["raw_attributes"].items()
                if more and (again := _RANGE.match(key)) and again[1].lower() == match[1].lower()
            ]
            if answer["result"] != 0 or not found:
                raise Deferred(
                    Condition.DIRECTORY_UNAVAILABLE,
                    f"{dn}: the rest of {match[1]} cannot be read: {answer['description']}",
                )
            match_now = found[0][0]
            values += map(bytes, found[0][1])
        result[match[1]] = values
    return result
