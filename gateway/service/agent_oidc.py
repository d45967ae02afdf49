"""Control verbs for signing in with the company's OpenID Connect provider: begun by a browser that nobody knows, finished
with the code that it brings back.

The agent does all of it, with the client's secret that only it can read: the web front end carries a code and gets a
session. What begins waits ten minutes, in memory, is good once and for one browser (`state`, which the front end compares
with its own cookie). Who the ID token means is looked up like any login; whoever has a second factor is asked for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import msgspec

from directory.login_rules import may_come, may_use, the_one
from directory.model import Account, Deferred, Refused
from gateway.control.server import Caller, Right, Verb, VerbError
from gateway.observe.log import fields
from gateway.service.agent_tokens import SESSION_SECONDS, OpenSession, TokenVerbs
from gateway.service.oidc_provider import NotTrue, Provider, Silent
from gateway.service.oidc_settings import OIDC_BACK, OidcSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.service.agent_accounts import Accounts

BEGUN_SECONDS = 600.0
MAX_BEGUN = 5000
AT_ONCE = 2  # that wait for the provider; others' verbs need the threads
TEMPORARY, NOT_ALLOWED = 4, 5
_log = logging.getLogger("gatepost.agent")
Text = Annotated[str, msgspec.Meta(max_length=4096)]


class NoArguments(msgspec.Struct, forbid_unknown_fields=True):
    """Of verbs that need none."""


class Finish(msgspec.Struct, forbid_unknown_fields=True):
    """What the browser brought back (RFC 6749 4.1.2, RFC 9207), from `address`."""

    state: Text
    code: Text
    issuer: Text = ""
    address: Text = ""
    name: str = "web"
    seconds: float = SESSION_SECONDS

    def __repr__(self) -> str:
        return "Finish()"


@dataclass(frozen=True, slots=True)
class _Begun:
    until: float
    nonce: str
    verifier: str


class CompanySignIn:
    """The verbs' functions."""

    def __init__(
        self,
        settings: OidcSettings,
        url: str,
        accounts: Accounts,
        tokens: TokenVerbs,
        now: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`url`: where browsers reach the front end."""
        self._settings, self._accounts, self._tokens = settings, accounts, tokens
        self._now, self._clock = now, clock
        self._back = url.rstrip("/") + OIDC_BACK
        self._provider = Provider(settings)
        self._asking = threading.Semaphore(AT_ONCE)
        self._lock = threading.Lock()
        #: by state
        self._begun: OrderedDict[str, _Begun] = OrderedDict()

    def verbs(self) -> Mapping[str, Verb]:
        """The rows of the table; none where no provider is configured."""
        if not self._settings.issuer:
            return {}
        return {
            "oidc-begin": Verb(Right.FRONT, self._begin, NoArguments),
            "oidc-finish": Verb(Right.FRONT, self._finish, Finish),
        }

    @contextmanager
    def _waiting(self) -> Iterator[Provider]:
        """The provider, of which few threads ask. Raises VerbError."""
        if not self._asking.acquire(blocking=False):
            raise VerbError("the company's sign-in is slow at the moment, try again", TEMPORARY)
        try:
            yield self._provider
        except Silent as error:
            _log.warning("%s", fields(event="oidc-silent", detail=str(error)))
            raise VerbError("the company's sign-in does not answer", TEMPORARY) from None
        except NotTrue as error:
            _log.warning("%s", fields(event="oidc-refused", detail=str(error)))
            raise VerbError("the company's sign-in was not accepted", NOT_ALLOWED) from None
        finally:
            self._asking.release()

    def _begin(self, _: Caller, __: NoArguments) -> dict[str, Any]:
        with self._waiting() as provider:
            document = provider.document()
        state, now = secrets.token_urlsafe(24), self._clock()
        begun = _Begun(now + BEGUN_SECONDS, secrets.token_urlsafe(24), secrets.token_urlsafe(48))
        with self._lock:
            while self._begun and (len(self._begun) >= MAX_BEGUN or next(iter(self._begun.values())).until <= now):
                self._begun.popitem(last=False)
            self._begun[state] = begun
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = urlencode({
            "response_type": "code", "client_id": self._settings.client_id, "redirect_uri": self._back,
            "scope": " ".join(self._settings.scopes), "state": state, "nonce": begun.nonce,
            "code_challenge": challenge, "code_challenge_method": "S256",
        })  # fmt: skip
        return {"state": state, "url": f"{document.authorize}{'&' if '?' in document.authorize else '?'}{asked}"}

    def _finish(self, _: Caller, wanted: Finish) -> dict[str, Any]:
        with self._lock:
            begun = self._begun.pop(wanted.state, None)
        if begun is None or begun.until <= self._clock():
            raise VerbError("that took too long, sign in again", NOT_ALLOWED)
        with self._waiting() as provider:
            if provider.document().names_itself or wanted.issuer:
                _same(wanted.issuer, self._settings.issuer)
            claims = provider.claims(provider.id_token(wanted.code, begun.verifier, self._back), begun.nonce)
            login = self._login(claims)
        account = self._account(login, wanted.address)
        _log.info("%s", fields(event="oidc-signed-in", login=login, client=wanted.address))
        return self._tokens.open_proven(account, OpenSession(name=wanted.name, seconds=wanted.seconds))

    def _login(self, claims: Mapping[str, Any]) -> str:
        """Whom the claim names. Raises NotTrue."""
        name = self._settings.claim
        value = claims.get(name)
        if not isinstance(value, str) or not value.strip():
            raise NotTrue(f"the ID token has no claim {name!r}; it has {', '.join(sorted(claims))[:300]}")
        if name == "email" and claims.get("email_verified") is not True:
            raise NotTrue("the provider has not verified the address")
        return value.strip()

    def _account(self, login: str, address: str) -> Account:
        """As at a login. Raises VerbError."""
        try:
            with self._accounts.looking() as port:
                entry = the_one(port.directory, login, self._now())
            if not isinstance(entry, Account):
                raise VerbError("this account does not sign in here", NOT_ALLOWED)
            may_come(entry, address, self._now())
            may_use(entry, "selfservice")
        except Refused as error:
            _log.info("%s", fields(event="oidc-no-login", login=login, client=address, detail=error.detail))
            raise VerbError("this account does not sign in here", NOT_ALLOWED) from None
        except Deferred as error:
            _log.info("%s", fields(event="login-deferred", login=login, client=address, detail=error.detail))
            raise VerbError(error.text, TEMPORARY) from None
        return entry


def _same(said: str, issuer: str) -> None:
    if not hmac.compare_digest(said.encode(), issuer.encode()):
        raise NotTrue(f"the answer is of issuer {said[:200]!r}")
