"""AUTHENTICATE, LOGIN and STARTTLS."""

from __future__ import annotations

import base64

import pytest
from two_sessions import Client, World

pytest_plugins = ["session_fixtures"]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def client(world: World) -> Client:
    return Client(world.worker())


def test_plain_with_and_without_initial_response(world: World, client: Client) -> None:
    assert " AUTH=LOGIN AUTH=PLAIN " in client.core.greeting().decode()
    assert " SASL-IR" in client.core.greeting().decode()
    said = client.say("AUTHENTICATE PLAIN " + b64("\0jane\0secret"))
    assert said.startswith("T OK [CAPABILITY ")
    assert "AUTH=" not in said
    other = Client(world.workers[0])
    assert other.say("AUTHENTICATE plain") == "+ \r\n"
    assert other.send(b64("\0jane\0secret").encode() + b"\r\n").startswith("T OK ")
    assert other.say("AUTHENTICATE PLAIN").startswith("T BAD not allowed when authenticated")


def test_login_mechanism(client: Client) -> None:
    assert client.say("AUTHENTICATE LOGIN") == f"+ {b64('Username:')}\r\n"
    assert client.send(b64("jane").encode() + b"\r\n") == f"+ {b64('Password:')}\r\n"
    assert client.send(b64("secret").encode() + b"\r\nU NOOP\r\n").endswith("U OK NOOP completed\r\n")


@pytest.mark.parametrize(
    ("response", "answered"),
    [
        ("*", "T BAD authentication cancelled"),
        ("!!", "T BAD not base64"),
        (b64("jane"), "T BAD "),
        (b64("\0jane\0wrong"), "T NO [AUTHENTICATIONFAILED] "),
        (b64("boss\0jane\0secret"), "T NO [AUTHORIZATIONFAILED] "),
        ("", "T BAD "),
    ],
)
def test_what_fails(client: Client, response: str, answered: str) -> None:
    assert client.say("AUTHENTICATE PLAIN") == "+ \r\n"
    assert client.send(response.encode() + b"\r\n").startswith(answered)
    assert client.say("SELECT INBOX").startswith("T BAD not allowed when not authenticated")


def test_too_many_failures_end_the_session(client: Client) -> None:
    said = "".join(client.say("AUTHENTICATE PLAIN " + b64("\0jane\0wrong")) for _ in range(4))
    assert said.count("AUTHENTICATIONFAILED") == 4
    assert said.endswith("* BYE too many errors\r\n")


def test_bad_commands_in_a_row_end_the_session(world: World) -> None:
    client = world.worker().session()
    for _ in range(3):
        assert "BYE" not in "".join(client.say("FROB") for _ in range(20))
        assert client.say("NOOP") == "T OK NOOP completed\r\n"
    assert "".join(client.say("FROB") for _ in range(21)).endswith("* BYE too many errors\r\n")


def test_an_endless_response_ends_the_session(client: Client) -> None:
    client.say("AUTHENTICATE PLAIN")
    assert client.send(b"A" * 9000) == "* BYE line too long\r\n"
    assert client.core.closing


def test_no_password_in_the_clear(client: Client) -> None:
    client.core.tls = ""
    client.core.starttls_possible = True
    greeting = client.core.greeting().decode()
    assert "LOGINDISABLED" in greeting
    assert "STARTTLS" in greeting
    assert "AUTH=" not in greeting
    assert client.say("LOGIN jane secret").startswith("T NO [PRIVACYREQUIRED] ")
    assert client.say("AUTHENTICATE PLAIN " + b64("\0jane\0secret")).startswith("T NO [PRIVACYREQUIRED] ")
    # what comes behind STARTTLS in the clear is not taken as said under TLS
    assert client.send(b"T STARTTLS\r\nU LOGIN jane secret\r\n") == "T OK begin TLS\r\n"
    assert client.say("STARTTLS").startswith("T BAD TLS is active")
    assert "STARTTLS" not in client.say("CAPABILITY")
    assert client.say("LOGIN jane secret").startswith("T OK ")


def test_no_starttls_where_there_is_no_certificate(client: Client) -> None:
    client.core.tls = ""
    client.core.plaintext_auth = True
    assert "STARTTLS" not in client.core.greeting().decode()
    assert client.say("STARTTLS").startswith("T NO ")
    assert client.say("LOGIN jane secret").startswith("T OK ")


def test_logout(pair: tuple[Client, Client]) -> None:
    one, two = pair
    two.say(r"STORE 1 +FLAGS (\Seen)")
    assert one.say("LOGOUT now").endswith("T BAD unexpected text at the end of the command\r\n")
    assert one.say("LOGOUT") == "* BYE logging out\r\nT OK LOGOUT completed\r\n"
    assert one.core.closing
    assert Client(two.executor.host).say("LOGOUT").startswith("* BYE ")  # type: ignore[arg-type]
