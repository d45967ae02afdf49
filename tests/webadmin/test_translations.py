"""Every text of pages and programs of the web front end is there in every language, with the same blanks to fill."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir

from directory.model import Account, Alias, Domain, MailingList, SharedMailbox
from directory.write_values import fields_of
from webadmin.languages import LANGUAGES, catalogue
from webadmin.page import GROUPS
from webadmin.pages import PAGES

ROOT = Path(__file__).resolve().parents[2] / "webadmin"
BLANK = re.compile(r"%\(\w+\)s")
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "lazy_gettext": None, "N_": None}
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2"), ("templates/**.txt", "jinja2")]


def texts() -> Iterator[tuple[str, str]]:
    """(where, text) of everything that is shown in the reader's language."""
    options = {"templates/**.html": {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}}
    for name, line, message, _, _ in extract_from_dir(ROOT, METHODS, options, KEYWORDS):
        yield f"{name}:{line}", message[0] if isinstance(message, tuple) else message  # the plural is of the same entry
    for cls in (Account, Alias, Domain, MailingList, SharedMailbox):
        for field in fields_of(cls).values():
            if field.facts.since is not None:
                yield f"the model's {cls.__name__}.{field.name}", field.facts.description
    for group in GROUPS:
        yield "page.py", group
    for module in PAGES:
        if module.PAGE.group is not None:
            yield f"pages/{module.bp.name}", module.PAGE.title


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_nothing_is_missing(language: str) -> None:
    known = catalogue(language)
    missing, wrong = [], []
    for where, text in texts():
        message = known.get(text)
        translated = message.string if message is not None else ""
        translated = translated[0] if isinstance(translated, tuple) else translated
        if not translated:
            missing.append(f"{where}: {text!r}")
        elif sorted(BLANK.findall(text)) != sorted(BLANK.findall(translated)):
            wrong.append(f"{where}: {text!r} -> {translated!r}")
    assert missing == [] and wrong == [], "write them into webadmin/translations/<language>/<area>.po"


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_nothing_is_translated_that_nobody_says(language: str) -> None:
    said = {text for _, text in texts()}
    idle = []
    for message in catalogue(language):
        first = message.id[0] if isinstance(message.id, tuple) else message.id
        if first and first not in said:
            idle.append(first)
    assert idle == []
