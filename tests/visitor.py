"""A browser without scripts: cookies, forms with their token, pages as text."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from conftest import RunningDemo

TOKEN = re.compile(r'name="csrf-token" content="([^"]+)"')


class Visitor:
    """Somebody at a browser; logged in as `login` unless that is "". The demo's people have fixed passwords."""

    def __init__(self, demo: RunningDemo, login: str = "", password: str = "") -> None:
        self.base = str(demo.facts["web"]["url"])
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Accept-Language"] = "en"
        if login:
            answer = self.post("/login", login=login, password=password or f"{login}-demo-password")
            assert answer.status_code == 200 and "/login" not in answer.url, words(answer)

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.http.get(self.base + path, timeout=60, **more)

    def post(self, path: str, files: Any = None, allow_redirects: bool = True, **fields: Any) -> requests.Response:
        """Send a form with a good token."""
        return self.http.post(
            self.base + path,
            data={"csrf_token": self.token(), **fields},
            files=files,
            timeout=60,
            allow_redirects=allow_redirects,
        )

    def token(self) -> str:
        found = TOKEN.search(self.get("/login").text)
        assert found is not None
        return html.unescape(found[1])

    def close(self) -> None:
        self.http.close()


def words(answer: requests.Response) -> str:
    """What a person reads on the page."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", answer.text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


@pytest.fixture
def visit(webbed: RunningDemo) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors, and sees to their connections."""
    made: list[Visitor] = []

    def visit(login: str = "", password: str = "") -> Visitor:
        made.append(Visitor(webbed, login, password))
        return made[-1]

    yield visit
    for one in made:
        one.close()
