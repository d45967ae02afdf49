"""HTML that strangers wrote, through the cleaner in bounded time and room.

A parser of HTML opens again what was left open (`<b>`, `<font>` and the like) in every paragraph that follows, so forty
kilobytes can become a gigabyte; and it looks through all open elements at each tag, so that many nested ones take minutes.
Therefore elements of format go through the parser under names that mean nothing to it, and HTML with more than MAX_TAGS
tags is shown as text.
"""

from __future__ import annotations

import re
from typing import Any

import nh3

#: that an element may be opened with, without parts of tables and what has no content: these nest nothing by themselves
MAX_TAGS = 12_000
_FORMAT = ("b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u")
_NAMES = "|".join(_FORMAT)
_FORMATS = re.compile(rf"<(/?)({_NAMES})(?=[\s/>])", re.IGNORECASE)
_RENAMED = re.compile(rf"<(/?)x-({_NAMES})(?=[ >])")
_OPENING = re.compile(r"<(?!(?:t[dhr]|tbody|br|img|hr|wbr|col)[\s/>])[a-z]", re.IGNORECASE)
_ANY_TAG = re.compile(r"<(?:/?[a-zA-Z!?][^<>]*>?)")
_UNSEEN = re.compile(r"<(script|style|head|title)\b(?:[^<]|<(?!/\1\b))*", re.IGNORECASE)


class TooTangled(ValueError):
    """It has too many tags to be looked at as HTML."""


def clean(html: str, *, tags: set[str], attributes: dict[str, set[str]], **more: Any) -> str:
    """`nh3.clean`. Raises TooTangled."""
    if sum(1 for _ in _OPENING.finditer(html)) > MAX_TAGS:
        raise TooTangled
    found: str = nh3.clean(
        _FORMATS.sub(r"<\1x-\2", html),
        tags={*tags, *(f"x-{name}" for name in _FORMAT if name in tags)},
        attributes={**attributes, **{f"x-{name}": attributes[name] for name in _FORMAT if name in attributes}},
        **more,
    )
    return _RENAMED.sub(r"<\1\2", found)


def words_of(html: str) -> str:
    """The words of HTML that is too tangled, without anything between < and >."""
    return _ANY_TAG.sub(" ", _UNSEEN.sub(" ", html))
