"""Lists the ids of all visible entries, page by page: the safety net against missed deletions."""

from __future__ import annotations

from collections.abc import Iterator

import ldap3

from directory.identity import entry_id
from directory.model import Condition, Deferred
from directory.raw import RawEntry
from directory.settings import DirectorySettings

PAGED = "1.2.840.113556.1.4.319"


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
            raise Deferred(
                Condition.DIRECTORY_UNAVAILABLE, f"search: {result['description']} {result['message']}".strip()
            )
        yield [
            (entry["dn"], {name.lower(): list(values) for name, values in entry["raw_attributes"].items()})
            for entry in response or ()
            if entry["type"] == "searchResEntry"
        ]
        cookie = ((result.get("controls") or {}).get(PAGED) or {}).get("value", {}).get("cookie")
        if not cookie:
            return


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
    wanted = [ldap3.ALL_ATTRIBUTES, id_attribute, "modifyTimestamp", "memberOf"]
    for page in pages(connection, settings, filter_text, wanted):
        yield tuple(
            RawEntry(entry_id(settings.source, id_attribute, attributes[id_attribute.lower()][0]), dn, attributes)
            for dn, attributes in page
            if attributes.get(id_attribute.lower())
        )
