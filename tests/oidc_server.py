"""An OpenID Connect provider over TLS, small and real: it signs ID tokens, keeps to PKCE, and lies where a test tells it to."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CLIENT, SECRET = "gatepost", "s%cret & more"


def _b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


class OidcServer:
    """Serves at `issuer` until closed; `ca_file` is what its certificate is believed by."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "provider-ca.pem"
        authority.cert_pem.write_to_path(self.ca_file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
        self.key: Any = rsa.generate_private_key(65537, 2048)
        self.other_key = ec.generate_private_key(ec.SECP256R1())
        #: put over the claims of the next ID tokens, over their header, and over the discovery document
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {}
        self.document: dict[str, Any] = {}
        #: signs in place of the published key: (key, algorithm)
        self.signer: tuple[Any, str] | None = None
        #: what was asked of the token address
        self.asked: list[dict[str, str]] = []
        #: code -> what the browser was sent with
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                if path == "/realm/.well-known/openid-configuration":
                    self.answer(200, provider.described())
                elif path == "/realm/keys":
                    self.answer(200, {"keys": [provider.published()]})
                elif path == "/realm/authorize":
                    self.send_response(302)
                    self.send_header("Location", provider.authorized(query))
                    self.end_headers()
                else:
                    self.answer(404, {})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(body).items()}
                self.answer(*provider.tokens(form, self.headers.get("Authorization", "")))

            def answer(self, status: int, found: dict[str, Any]) -> None:
                octets = json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(octets)))
                self.end_headers()
                self.wfile.write(octets)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the base class)
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.issuer = f"https://localhost:{self._server.server_port}/realm"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def described(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer, "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token", "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
            "authorization_response_iss_parameter_supported": True,
        } | self.document  # fmt: skip

    def published(self) -> dict[str, str]:
        public = self.key.public_key().public_numbers()
        numbers = {
            name: _b64(value.to_bytes((value.bit_length() + 7) // 8))
            for name, value in (("n", public.n), ("e", public.e))
        }
        return {"kty": "RSA", "use": "sig", "kid": "one", **numbers}

    def authorized(self, query: str) -> str:
        """Where the browser goes: whoever it is has signed in."""
        asked = {name: values[0] for name, values in parse_qs(query).items()}
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT and "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256" and len(asked["nonce"]) >= 20
        code = secrets.token_urlsafe(12)
        self._codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state'], 'iss': self.issuer})}"

    def tokens(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        self.asked.append(form)
        name, _, secret = base64.b64decode(authorization.partition(" ")[2]).decode().partition(":")
        asked = self._codes.pop(form.get("code", ""), None)
        challenge = _b64(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if (unquote(name), unquote(secret)) != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        if asked is None or challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer, "sub": "1", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
        } | self.claims  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        key, algorithm = self.signer or (self.key, "RS256")
        token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "one"} | self.header)
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": token}

    def honest(self) -> None:
        """It lies no more."""
        self.claims, self.header, self.document, self.signer = {}, {}, {}, None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def follow(url: str, ca_file: Path) -> str:
    """Where a browser is sent by the provider's address `url`."""
    import http.client

    where = urlsplit(url)
    connection = http.client.HTTPSConnection(
        str(where.hostname), where.port, timeout=30, context=ssl.create_default_context(cafile=str(ca_file))
    )
    connection.request("GET", f"{where.path}?{where.query}")
    location = connection.getresponse().headers["Location"]
    connection.close()
    return location
