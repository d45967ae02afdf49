"""Passkeys (Web Authentication Level 2): what a browser is asked for, and whether its answer is good.

They belong to the host of `web.url`: a browser uses them nowhere else. Without that there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from directory.second_factor import Factor

MAX_ANSWER = 20_000  # octets of what a browser sends


class NotGood(Exception):
    """What the browser sent proves nothing."""


class Passkeys:
    """Thread-safe; keeps nothing."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).hostname or ""
        self._server = Fido2Server(
            PublicKeyCredentialRpEntity(id=self.host or "localhost", name="Gatepost"),
            verify_origin=lambda origin: bool(url) and origin == url.rstrip("/"),
        )

    def begin(self, account: str, login: str, name: str, held: Sequence[Factor]) -> tuple[dict[str, Any], Any]:
        """What the browser is asked to make, and what `finish` wants to know again."""
        options, state = self._server.register_begin(
            PublicKeyCredentialUserEntity(id=account.encode()[:64], name=login, display_name=name or login),
            [AttestedCredentialData(factor.secret) for factor in held],
            resident_key_requirement=ResidentKeyRequirement.DISCOURAGED,
            user_verification=UserVerificationRequirement.PREFERRED,
        )
        return _plain(options), state

    def finish(self, state: Any, answer: str) -> tuple[bytes, int]:
        """What is kept of the passkey that was made, and its counter. Raises NotGood."""
        try:
            made = self._server.register_complete(state, _read(answer))
        except Exception as error:  # the library raises whatever the input breaks
            raise NotGood(f"{type(error).__name__}: {error}") from None
        if made.credential_data is None:
            raise NotGood("no credential in it")
        return bytes(made.credential_data), made.counter

    def ask(self, held: Sequence[Factor]) -> tuple[dict[str, Any], Any]:
        """What the browser is asked to sign, and what `check` wants to know again."""
        options, state = self._server.authenticate_begin(
            [AttestedCredentialData(factor.secret) for factor in held],
            user_verification=UserVerificationRequirement.PREFERRED,
        )
        return _plain(options), state

    def check(self, state: Any, held: Sequence[Factor], answer: str) -> tuple[Factor, int]:
        """Which passkey has signed, and its counter. Raises NotGood."""
        known = {AttestedCredentialData(factor.secret).credential_id: factor for factor in held}
        try:
            given = _read(answer)
            found = self._server.authenticate_complete(
                state, [AttestedCredentialData(factor.secret) for factor in held], given
            )
            counter = AuthenticationResponse.from_dict(given).response.authenticator_data.counter
        except Exception as error:
            raise NotGood(f"{type(error).__name__}: {error}") from None
        return known[found.credential_id], counter


def _plain(options: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(_tree(options)))
    return found


def _tree(value: Any) -> Any:
    """The library's mappings as JSON has them; octets are base64url text in them already."""
    if hasattr(value, "items"):
        return {str(key): _tree(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_tree(each) for each in value]
    return value


def _read(answer: str) -> dict[str, Any]:
    if len(answer) > MAX_ANSWER:
        raise ValueError("too long")
    found = msgspec.json.decode(answer.encode())
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found
