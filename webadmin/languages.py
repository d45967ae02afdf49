"""The languages of the pages. What is not in a catalogue is English, which the programs and templates are written in.

A language is a folder of catalogues, `translations/zh/<area>.po`, an area each, so that people can work on them side by
side. They are read when this module is imported, with what Babel knows of the languages' dates and numbers.
"""

from __future__ import annotations

from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask_babel import Domain, get_locale

LANGUAGES = {"en": "English", "zh": "中文"}
FOLDER = Path(__file__).parent / "translations"


def catalogue(language: str) -> Catalog:
    """All areas of a language together. Raises ValueError for a text that two areas translate differently."""
    whole = Catalog(language, charset="utf-8")
    for path in sorted((FOLDER / language).glob("*.po")):
        with path.open("rb") as file:
            part = read_po(file, language)
        for message in part:
            if not message.id:
                continue
            there = whole.get(message.id, message.context)
            if there is not None and there.string != message.string:
                raise ValueError(f"{path.name}: {message.id!r} is translated differently in another file")
            whole[message.id] = message
    return whole


def _translations(language: str) -> Translations:
    from io import BytesIO

    packed = BytesIO()
    write_mo(packed, catalogue(language))
    packed.seek(0)
    return Translations(packed)


_CATALOGUES = {language: _translations(language) for language in LANGUAGES if (FOLDER / language).is_dir()}
for _language in LANGUAGES:
    Locale.parse(_language).date_formats  # noqa: B018 (read from Babel's files now, not by a process without access)


class Languages(Domain):  # type: ignore[misc]
    """What Flask-Babel looks texts up in."""

    def get_translations(self) -> NullTranslations:
        """Of the request's language."""
        return _CATALOGUES.get(str(get_locale() or "en").split("_")[0], NullTranslations())
