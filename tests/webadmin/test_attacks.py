"""What people try at a login page: guess passwords, bring a session of their own, forge addresses, send too much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import RunningDemo
from parts import Parts
from werkzeug.test import encode_multipart

from gateway.service.admission import Networks
from webadmin.client import client_address

pytestmark = pytest.mark.xdist_group("web")
GUESSES = 10  # auth.failures_per_minute


@pytest.fixture(scope="module")
def proxied(webbed: RunningDemo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """Behind a proxy on this host, which says where people sit."""
    made = Parts(
        webbed, Path(tmp_path_factory.mktemp("proxied")), trusted_proxies=("127.0.0.1",), url="https://mail.example.com"
    )
    yield made
    made.close()


def come_from(parts: Parts, address: str) -> None:
    parts.browser.delete_cookie("gatepost")
    parts.browser.environ_base["HTTP_X_FORWARDED_FOR"] = address
    parts.browser.environ_base["HTTP_X_FORWARDED_PROTO"] = "https"
    parts.browser.environ_base["wsgi.url_scheme"] = "https"


def test_who_guesses_is_turned_away_and_nobody_else_is(proxied: Parts) -> None:
    come_from(proxied, "192.0.2.77")
    answers = [
        proxied.post("/login", login=f"nobody{number}", password="guess").status_code for number in range(GUESSES)
    ]
    assert answers == [401] * GUESSES
    answer = proxied.post("/login", login="jane", password="jane-demo-password")
    assert answer.status_code == 503 and "try again in a minute" in answer.text
    come_from(proxied, "198.51.100.9")
    assert proxied.post("/login", login="jane", password="jane-demo-password").status_code == 302


def test_one_wrong_password_again_and_again_is_one_guess(proxied: Parts) -> None:
    come_from(proxied, "192.0.2.78")
    for _ in range(GUESSES + 3):
        assert proxied.post("/login", login="nobody", password="the same").status_code == 401
    assert proxied.post("/login", login="jane", password="jane-demo-password").status_code == 302


def test_an_address_before_the_proxys_word_is_not_believed(proxied: Parts) -> None:
    """A guesser writes addresses of others in front; the last one, which the proxy put there, counts."""
    for number in range(GUESSES):
        come_from(proxied, f"203.0.113.{number}, 192.0.2.79")
        proxied.post("/login", login=f"nobody{number}", password="guess")
    come_from(proxied, "203.0.113.99, 192.0.2.79")
    assert proxied.post("/login", login="jane", password="jane-demo-password").status_code == 503


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("", "10.0.0.1"),
        ("198.51.100.1", "198.51.100.1"),
        ("1.2.3.4, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.2, 10.0.0.3", "10.0.0.2"),
        (", ,", "10.0.0.1"),
        (",".join(["1.2.3.4"] * 5000), "1.2.3.4"),
    ],
)
def test_where_somebody_sits(proxied: Parts, said: str, wanted: str) -> None:
    with proxied.app.test_request_context(headers={"X-Forwarded-For": said}, environ_base={"REMOTE_ADDR": "10.0.0.1"}):
        assert client_address(Networks(("10.0.0.0/24",))) == wanted


@pytest.mark.parametrize("said", ["nonsense", "1.2.3.4\r\nLOGOUT", "127.0.0.1 evil", "<script>"])
def test_what_is_no_address_is_not_taken_for_one(proxied: Parts, said: str) -> None:
    with proxied.app.test_request_context(environ_base={"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": said}):
        assert client_address(Networks(("10.0.0.0/24",))) == "10.0.0.1"


def test_a_stranger_names_no_address(proxied: Parts) -> None:
    with proxied.app.test_request_context(
        headers={"X-Forwarded-For": "127.0.0.1"}, environ_base={"REMOTE_ADDR": "192.0.2.1"}
    ):
        assert client_address(Networks(("10.0.0.0/24",))) == "192.0.2.1"


def test_a_session_that_somebody_was_given_is_not_the_one_he_gets(proxied: Parts) -> None:
    come_from(proxied, "198.51.100.10")
    proxied.browser.get("/login")
    given = proxied.browser.get_cookie("gatepost")
    assert given is not None
    assert proxied.post("/login", login="jane", password="jane-demo-password").status_code == 302
    got = proxied.browser.get_cookie("gatepost")
    assert got is not None and got.value != given.value and got.secure and got.http_only and got.same_site == "Lax"
    proxied.browser.set_cookie("gatepost", given.value, secure=True)
    assert "/login" in proxied.browser.get("/mail/").headers["Location"]


@pytest.mark.parametrize("cookie", ["x", "eyJ0b2tlbiI6Imdwc194In0.x.y", "é" * 50, "a" * 4000])
def test_a_forged_cookie_is_nobody(proxied: Parts, cookie: str) -> None:
    come_from(proxied, "198.51.100.11")
    proxied.browser.set_cookie("gatepost", cookie, secure=True)
    answer = proxied.browser.get("/mail/")
    assert answer.status_code == 302 and "/login" in answer.headers["Location"]


def test_too_much_is_refused(proxied: Parts) -> None:
    come_from(proxied, "198.51.100.12")
    answer = proxied.browser.post("/login", data={"login": "x" * 100_000})
    assert answer.status_code == 413 and "more than this server takes" in answer.text
    assert proxied.post("/login", login="jane", password="jane-demo-password").status_code == 302
    long, many = {"login": "x" * (2 << 20)}, {f"f{number}": "x" for number in range(3000)}
    assert proxied.browser.post("/language", data=long).status_code == 413
    for fields in (long, many):
        boundary, body = encode_multipart(fields)
        answer = proxied.browser.post("/language", data=body, content_type=f"multipart/form-data; boundary={boundary}")
        assert answer.status_code == 413


@pytest.mark.parametrize("login", ["x" * 10_000, "\x00", "a\r\nb", "*", "(uid=*)", "../../etc/passwd", "😀" * 1000])
def test_odd_logins_are_wrong_logins(proxied: Parts, login: str) -> None:
    come_from(proxied, f"2001:db8:{hash(login) % 60000:x}::1")
    assert proxied.post("/login", login=login, password="x").status_code in (401, 409)
