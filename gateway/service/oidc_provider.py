"""The company's OpenID Connect provider, as far as signing in needs it (OpenID Connect Core 1.0, Discovery 1.0): where it
is, tokens for a code (RFC 6749 4.1, RFC 7636), and what of an ID token is true (RFC 7515, RFC 7517, RFC 7519).

Only https with a certificate that is believed, no redirects, every answer bounded in size and time. What does not answer is
`Silent`, for the time being; what it says that is not right is `NotTrue`.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import jwt

from gateway.service.oidc_settings import OidcSettings

ANSWER_SECONDS = 7.0  # for one answer, from the connection to its last octet
MAX_ANSWER = 1 << 20  # octets
DOCUMENT_SECONDS = 3600.0  # the discovery document and keys are read anew
AGAIN_SECONDS = 10.0  # after trouble with them
KEYS_AGAIN_SECONDS = 60.0  # for a key that is not among those known
LEEWAY_SECONDS = 60.0  # between the provider's clock and ours
MAX_KEYS = 100
#: signatures by public keys; never "none", never one by a secret that we share
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class Silent(Exception):
    """The provider does not answer, or not with what belongs there; it may later."""


class NotTrue(Exception):
    """The provider refuses, or its word is not good; the message is for the log."""


@dataclass(frozen=True, slots=True)
class Document:
    """What the provider publishes of itself."""

    authorize: str
    token: str
    keys: str
    algorithms: tuple[str, ...]
    #: client_secret_basic or client_secret_post
    by_basic: bool
    #: its answers name it (RFC 9207)
    names_itself: bool


class Provider:
    """One, asked by few threads at once. Thread-safe."""

    def __init__(self, settings: OidcSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._lock = threading.Lock()
        self._document: Document | None = None
        self._read_at = self._failed_at = self._keys_at = -1e9
        self._keys: dict[str, jwt.PyJWK] = {}

    def document(self) -> Document:
        """Where its addresses are. Raises Silent."""
        with self._lock:
            now = self._clock()
            if self._document is not None and now - self._read_at < DOCUMENT_SECONDS:
                return self._document
            if now - self._failed_at < AGAIN_SECONDS:
                raise Silent("it did not answer a moment ago")
            try:
                self._document = self._discovered()
            except Silent:
                self._failed_at = self._clock()
                raise
            self._read_at = self._clock()
            return self._document

    def _discovered(self) -> Document:
        issuer = self._settings.issuer
        found = self._json("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise Silent(f"the discovery document is of issuer {str(found.get('issuer'))[:200]!r}, not {issuer!r}")
        addresses = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if not all(isinstance(one, str) and one.startswith("https://") for one in addresses):
            raise Silent("the discovery document lacks an https address")
        authorize, token, keys = map(str, addresses)
        offered = found.get("id_token_signing_alg_values_supported")
        algorithms = tuple(each for each in ALGORITHMS if not isinstance(offered, list) or each in offered)
        methods = found.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        by_basic = "client_secret_basic" in methods or "client_secret_post" not in methods
        names_itself = found.get("authorization_response_iss_parameter_supported") is True
        return Document(authorize, token, keys, algorithms, by_basic, names_itself)

    def id_token(self, code: str, verifier: str, back: str) -> str:
        """The ID token for a code that came to the address `back`. Raises Silent, NotTrue."""
        document = self.document()
        client, secret = self._settings.client_id, self._secret()
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": back, "code_verifier": verifier,
            "client_id": client,
        }  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if secret and document.by_basic:
            pair = f"{quote(client, safe='')}:{quote(secret, safe='')}".encode()  # RFC 6749 2.3.1
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
            del form["client_id"]
        elif secret:
            form["client_secret"] = secret
        found = self._json("POST", document.token, urlencode(form).encode(), headers)
        token = found.get("id_token")
        if not isinstance(token, str):
            raise NotTrue("its answer has no ID token")
        return token

    def claims(self, token: str, nonce: str) -> dict[str, Any]:
        """What the ID token says, when all of it is right (OpenID Connect Core 1.0, 3.1.3.7). Raises Silent, NotTrue."""
        settings, document = self._settings, self.document()
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in document.algorithms:
                raise NotTrue(f"signed by {str(header.get('alg'))[:40]!r}")
            found: dict[str, Any] = jwt.decode(
                token, self._key(str(header.get("kid") or ""), document).key, algorithms=list(document.algorithms),
                audience=settings.client_id, issuer=settings.issuer, leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise NotTrue(f"ID token: {error}") from None
        audience, party = found["aud"], found.get("azp")
        if (isinstance(audience, list) and len(audience) > 1 and party is None) or party not in (
            None,
            settings.client_id,
        ):
            raise NotTrue("the ID token is for another client")
        if found["nonce"] != nonce:
            raise NotTrue("the ID token is of another sign-in")
        return found

    def _key(self, name: str, document: Document) -> jwt.PyJWK:
        with self._lock:
            now = self._clock()
            age = now - self._keys_at
            if age > DOCUMENT_SECONDS or (self._chosen(name) is None and age > KEYS_AGAIN_SECONDS):
                self._keys, self._keys_at = self._published(document), now
            found = self._chosen(name)
        if found is None:
            raise NotTrue(f"signed by key {name[:100]!r}, which is not published")
        return found

    def _chosen(self, name: str) -> jwt.PyJWK | None:
        if name:
            return self._keys.get(name)
        return next(iter(self._keys.values())) if len(self._keys) == 1 else None

    def _published(self, document: Document) -> dict[str, jwt.PyJWK]:
        rows = self._json("GET", document.keys).get("keys")
        found: dict[str, jwt.PyJWK] = {}
        for row in (rows if isinstance(rows, list) else [])[:MAX_KEYS]:
            if not isinstance(row, dict) or row.get("kty") == "oct" or row.get("use", "sig") != "sig":
                continue
            try:
                found[str(row.get("kid") or "")] = jwt.PyJWK(row)
            except (jwt.PyJWTError, ValueError, TypeError):
                continue  # of a kind that we do not know
        return found

    def _secret(self) -> str:
        if not self._settings.client_secret_file:
            return ""
        try:
            with open(self._settings.client_secret_file, encoding="utf-8") as file:
                return file.readline().strip()
        except (OSError, ValueError) as error:
            raise Silent(f"web.oidc.client_secret_file: {error}") from None

    def _json(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The object that comes from there. Raises Silent; NotTrue where the answer is that it will not."""
        deadline = time.monotonic() + ANSWER_SECONDS
        try:
            where = urlsplit(url)
            context = ssl.create_default_context(cafile=self._settings.ca_file or None)
            connection = http.client.HTTPSConnection(
                str(where.hostname), where.port, timeout=ANSWER_SECONDS, context=context
            )
            try:
                path = f"{where.path or '/'}{'?' + where.query if where.query else ''}"
                connection.request(method, path, body, {"Accept": "application/json", **(headers or {})})
                response = connection.getresponse()
                octets = bytearray()
                while piece := response.read1(65536):
                    octets += piece
                    if len(octets) > MAX_ANSWER or time.monotonic() > deadline:
                        raise Silent(f"{where.hostname} answers too much or too slowly")
            finally:
                connection.close()
            found = json.loads(bytes(octets)) if octets else {}
        except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
            raise Silent(f"{urlsplit(url).hostname}: {error}") from None
        if not isinstance(found, dict):
            raise Silent(f"{where.hostname} answers what is no object")
        if response.status == 400 and method == "POST":  # RFC 6749 5.2
            raise NotTrue(f"it refuses: {str(found.get('error', ''))[:100]}")
        if response.status != 200:
            raise Silent(f"{where.hostname} answers {response.status} {str(found.get('error', ''))[:100]}")
        return found
