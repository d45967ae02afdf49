"""A browser without scripts: cookies, forms with their token, pages as text."""

from __future__ import annotations

import email
import html
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
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


def letter_link(demo: RunningDemo, contact: str, subject: str) -> str:
    """The path of the link in the application's mail that went to somebody outside."""

    def found() -> str:
        for path in Path(demo.facts["smarthost"]["sink_dir"]).rglob("*"):
            octets = path.read_bytes() if path.is_file() else b""
            if contact.encode() in octets.partition(b"\n\n")[0]:
                message = email.message_from_bytes(octets)
                body = message.get_payload(decode=True)
                match = re.search(rb"http://[^/]+(/apply/\S+)", body if isinstance(body, bytes) else b"")
                if match is not None and subject in str(message["Subject"]):
                    return match[1].decode()
        return ""

    deadline = time.monotonic() + 30
    while not found():
        assert time.monotonic() < deadline, f"no letter to {contact}"
        time.sleep(0.05)
    return found()


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
