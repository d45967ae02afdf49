"""The menu: what PAGE of each module says, for the roles of whoever looks."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request, url_for

from webadmin.page import GROUPS, Page
from webadmin.person import Person


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the menu."""

    title: str
    url: str
    here: bool


def page_of(blueprint: str) -> Page:
    """The page of a blueprint's module."""
    from webadmin.pages import PAGES_BY_NAME

    return PAGES_BY_NAME[blueprint]


def of(person: Person | None) -> list[tuple[str, list[Entry]]]:
    """Groups with their entries; empty for people who are not logged in."""
    from webadmin.pages import PAGES

    if person is None:
        return []
    found = []
    for group in GROUPS:
        entries = [
            (
                module.PAGE.order,
                Entry(
                    module.PAGE.title,
                    url_for(f"{module.bp.name}.{module.PAGE.start}"),
                    request.blueprint == module.bp.name,
                ),
            )
            for module in PAGES
            if module.PAGE.group == group and module.PAGE.needs is not None and any(map(person.may, module.PAGE.needs))
        ]
        if entries:
            found.append((group, [entry for _, entry in sorted(entries, key=lambda pair: pair[0])]))
    return found
