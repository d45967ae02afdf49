"""PLAIN and LOGIN, right and wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sasl import Credentials, SaslProblem, decode, start


def test_plain_and_login() -> None:
    steps = start("plain")
    assert steps is not None and steps.challenge == b""
    steps.respond(b"\0jane\0pass word")
    assert steps.credentials == Credentials("jane", "pass word")
    steps = start("LOGIN")
    assert steps is not None and steps.challenge == b"Username:"
    steps.respond(b"jane")
    assert steps.credentials is None and steps.challenge == b"Password:"
    steps.respond("päss".encode())
    assert steps.credentials == Credentials("jane", "päss")
    assert start("CRAM-MD5") is None


def test_an_identity_to_act_as_is_kept() -> None:
    steps = start("PLAIN")
    assert steps is not None
    steps.respond(b"boss\0jane\0x")
    assert steps.credentials is not None and steps.credentials.authorization == "boss"
    assert "x" not in repr(steps.credentials).replace("authorization", "")


@pytest.mark.parametrize(
    "response", [b"", b"jane", b"\0jane", b"\0\0x", b"\0a\0b\0c", b"\0\xff\0x", b"\0a\0" + b"x" * 5000]
)
def test_bad_responses(response: bytes) -> None:
    steps = start("PLAIN")
    assert steps is not None
    with pytest.raises(SaslProblem):
        steps.respond(response)


def test_base64() -> None:
    assert decode(b"=") == b"" == decode(b"")
    for bad in (b"*", b"AA", b"A A=", b"\xff", b"===="):
        with pytest.raises(SaslProblem):
            decode(bad)


@given(st.sampled_from(["PLAIN", "LOGIN"]), st.lists(st.binary(max_size=40), min_size=1, max_size=3))
def test_only_saslproblem(mechanism: str, responses: list[bytes]) -> None:
    steps = start(mechanism)
    assert steps is not None
    try:
        for response in responses:
            steps.respond(decode(response))
            if steps.credentials is not None:
                break
    except SaslProblem:
        pass
