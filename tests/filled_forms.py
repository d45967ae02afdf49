"""What a form of a page would send of what may be changed in it, when somebody touches nothing and presses its button."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import requests


class _Forms(HTMLParser):
    def __init__(self, action: str) -> None:
        super().__init__()
        self.action, self.fields = action, dict[str, list[str]]()
        self._in, self._area, self._select, self._text = False, "", "", ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._in = facts.get("method") == "post" and self.action in facts.get("action", self.action)
        name = facts.get("name", "")
        if not self._in or "disabled" in facts or "readonly" in facts:
            return
        if tag == "input" and name and (facts.get("type") not in ("checkbox", "radio") or "checked" in facts):
            self.fields.setdefault(name, []).append(facts.get("value", ""))
        elif tag == "textarea":
            self._area, self._text = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and "selected" in facts and self._select:
            self.fields.setdefault(self._select, []).append(facts["value"])

    def handle_data(self, data: str) -> None:
        if self._area:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._in = False
        elif tag == "textarea" and self._area:
            self.fields.setdefault(self._area, []).append(self._text)
            self._area = ""
        elif tag == "select":
            self._select = ""


def filled(answer: requests.Response, action: str) -> dict[str, Any]:
    """Names and values of the form whose address contains `action`, without its token."""
    parser = _Forms(action)
    parser.feed(answer.text)
    assert parser.fields, f"no form {action} in {answer.url}"
    parser.fields.pop("csrf_token", None)
    return parser.fields
