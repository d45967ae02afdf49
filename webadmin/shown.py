"""How times, sizes and addresses are shown to people: filters of the templates."""

from __future__ import annotations

import datetime as dt

import idna
from babel.units import format_unit
from flask import Flask
from flask_babel import format_datetime, get_locale

from webadmin.said import in_words

UNITS = ("byte", "kilobyte", "megabyte", "gigabyte", "terabyte")


def when(stamp: float | None) -> str:
    """A unix time, in the reader's words; – for none."""
    if stamp is None:
        return "–"
    # "11/12/26" is one day in one English-speaking country and another in the next
    pattern = "d MMM y, HH:mm" if str(get_locale() or "en").startswith("en") else "short"
    return str(format_datetime(dt.datetime.fromtimestamp(stamp, dt.UTC), pattern))


def octets(number: int | float | None) -> str:
    """A size, in the reader's words; – for none."""
    if number is None:
        return "–"
    size, unit = float(number), 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    if not unit:
        return f"{size:.0f} B"
    text: str = format_unit(
        round(size, 1 if unit > 0 and size < 100 else None), f"digital-{UNITS[unit]}", "short", locale=get_locale()
    )
    return text


def readable(address: str) -> str:
    """An address or domain in the script of its owner; other texts stay as they are."""
    local, at, domain = address.rpartition("@")
    if "xn--" not in domain:
        return address
    try:
        return f"{local}{at}{idna.decode(domain)}"
    except (idna.IDNAError, UnicodeError):
        return address


def register(app: Flask) -> None:
    """For all templates."""
    app.jinja_env.filters.update(when=when, octets=octets, readable=readable, said=in_words)
