"""What is sent is judged by its header: nobody uploads who is not signed in."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from conftest import RunningDemo
from visitor import Visitor

pytestmark = pytest.mark.xdist_group("web")
LARGE = 8 << 20


def answer(demo: RunningDemo, *header: str, body: bytes = b"", method: str = "POST /login") -> bytes:
    """The first line of what comes when a header says that much follows, and nothing or little does."""
    where = urlsplit(demo.facts["web"]["url"])
    with socket.create_connection((where.hostname, where.port), timeout=60) as sock:
        lines = [f"{method} HTTP/1.1", f"Host: {where.netloc}", *header, "", ""]
        sock.sendall("\r\n".join(lines).encode() + body)
        return sock.recv(1000).partition(b"\r\n")[0]


def test_the_body_of_a_stranger_is_not_waited_for(visit: Callable[..., Visitor], webbed: RunningDemo) -> None:
    length = f"Content-Length: {LARGE}"
    waits = (length, "Expect: 100-continue")
    assert b" 413 " in answer(webbed, length)
    assert b" 413 " in answer(webbed, *waits), "he is not told to go on"
    assert b" 413 " in answer(webbed, *waits, "Cookie: gatepost=eyJ0b2tlbiI6ImdwcyJ9.aR.x"), (
        "a cookie of his own making"
    )
    assert b" 413 " in answer(webbed, *waits, "Authorization: Bearer gpk_x"), "only programs' own address takes more"
    assert b" 413 " in answer(webbed, *waits, "Authorization: Bearer gpk_x", method="POST /api/v1/users")
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    assert b" 413 " in answer(webbed, "Transfer-Encoding: chunked", body=chunk * 2), "chunks are counted"


def test_who_is_signed_in_may_send_until_he_signs_out(visit: Callable[..., Visitor], webbed: RunningDemo) -> None:
    jane = visit("jane")
    held = f"Cookie: gatepost={jane.http.cookies['gatepost']}"
    files = (f"Content-Length: {LARGE}", "Expect: 100-continue", "Content-Type: multipart/form-data; boundary=x", held)
    assert b" 100 " in answer(webbed, *files, method="POST /compose/")
    form = (f"Content-Length: {LARGE}", "Expect: 100-continue", "Content-Type: application/x-www-form-urlencoded", held)
    assert b" 413 " in answer(webbed, *form, method="POST /compose/"), "a form is read whole"
    jane.post("/logout")
    assert b" 413 " in answer(webbed, *files, method="POST /compose/")
