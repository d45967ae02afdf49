"""Who is logged in: the session token in the browser's signed cookie, and what the agent says of its owner.

The session itself is a row in the agent's state.db: it ends by time, by log-out or when it is revoked, whatever cookie
somebody still has. What the agent says is asked once a request.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

from flask import current_app, g, request, session

from gateway.control.protocol import Claim
from gateway.service.admission import Networks
from webadmin.backend import AGENT_SOCKET, Backend, NotPossible, SessionEnded
from webadmin.browser_name import browser_name
from webadmin.client import client_address

TOKEN, LOGIN, LANGUAGE, SECOND, COMPANY = "token", "login", "language", "second", "company"

#: what a page may need, from the widest right down
ADMIN, DOMAIN_ADMIN, HELPDESK, LIST_OWNER, ANYBODY = "administrator", "domain", "helpdesk", "list", "anybody"


@dataclass(frozen=True, slots=True)
class Person:
    """The owner of the session."""

    login: str
    token: str
    id: str
    name: str
    #: the primary one first
    addresses: tuple[str, ...]
    #: of ADMIN, DOMAIN_ADMIN, HELPDESK, LIST_OWNER, ANYBODY, those he has
    roles: frozenset[str]
    #: that he administers, as a domain's administrator
    domains: tuple[str, ...]
    #: addresses of lists that he owns or moderates
    lists: tuple[str, ...]
    services: tuple[str, ...] | None

    def may(self, role: str) -> bool:
        """True when he has the role; administrators have all."""
        return role in self.roles or ADMIN in self.roles

    def uses(self, service: str) -> bool:
        """True when the directory lets him use the service (gatepostService)."""
        return self.services is None or service in self.services


def backend() -> Backend:
    """The host's other processes."""
    found: Backend = current_app.extensions["gatepost_backend"]
    return found


def trusted_proxies() -> Networks:
    """Whose X-Forwarded-For counts."""
    found: Networks = current_app.extensions["gatepost_proxies"]
    return found


def claim() -> Claim:
    """What proves to the other processes who asks. Raises SessionEnded."""
    bearer = getattr(g, "bearer", "")  # of the JSON interface
    token = bearer or session.get(TOKEN, "")
    if not token:
        raise SessionEnded
    login = getattr(g, "bearer_login", "") if bearer else session.get(LOGIN, "")
    return Claim(login=login, token=token, address=client_address(trusted_proxies()))


def ask(verb: str, socket: str = AGENT_SOCKET, **arguments: Any) -> Any:
    """Do a control verb for the person at the browser. Raises NotPossible, Unavailable, SessionEnded."""
    return backend().ask(socket, verb, claim(), **arguments)


def current() -> Person | None:
    """Who is logged in; None = nobody. Raises SessionEnded, Unavailable."""
    if TOKEN not in session and not getattr(g, "bearer", ""):
        return None
    if "person" not in g:
        facts = ask("whoami")
        g.person = Person(
            login=facts["login"],
            token=claim().token,
            id=facts["id"],
            name=facts["name"],
            addresses=tuple(facts["addresses"]),
            roles=frozenset((*facts["roles"], ANYBODY)),
            domains=tuple(facts["domains"]),
            lists=tuple(facts["lists"]),
            services=None if facts["services"] is None else tuple(facts["services"]),
        )
    person: Person = g.person
    return person


def person() -> Person:
    """Who is logged in. Raises SessionEnded when nobody is."""
    found = current()
    if found is None:
        raise SessionEnded
    return found


def begin(login: str, password: str, seconds: int) -> bool:
    """Open a session; the cookie is a new one, whatever the browser sent before. False when a second factor is asked for
    first, see `second_step`. Raises NotPossible, Unavailable."""
    made = backend().ask(
        AGENT_SOCKET,
        "session-open",
        Claim(login=login, password=password, address=_here()),
        name=browser_name(request.user_agent.string),
        seconds=seconds,
    )
    return _entered(made)


def begin_at_company(to: str) -> str:
    """The address of the company's sign-in, from where this browser comes back. Raises NotPossible, Unavailable."""
    begun = backend().serve(AGENT_SOCKET, "oidc-begin")
    session[COMPANY] = {"state": begun["state"], "to": to}
    return str(begun["url"])


def finish_at_company(state: str, code: str, issuer: str, seconds: int) -> tuple[bool, str]:
    """Open the session of whoever came back: as `begin`, and where he wanted to. Raises NotPossible, also for a browser that
    did not begin it; Unavailable."""
    begun = session.pop(COMPANY, None) or {}
    if not state or not hmac.compare_digest(state.encode(), str(begun.get("state", "")).encode()):
        raise NotPossible("", 5)
    made = backend().serve(
        AGENT_SOCKET, "oidc-finish", state=state, code=code, issuer=issuer, address=_here(),
        name=browser_name(request.user_agent.string), seconds=seconds,
    )  # fmt: skip
    return _entered(made), str(begun.get("to", ""))


def second_step() -> dict[str, Any] | None:
    """What the agent asks of somebody whose password was right: `kinds`, and what a passkey has to sign."""
    found: dict[str, Any] | None = session.get(SECOND)
    return found


def finish(code: str, passkey: str, seconds: int) -> None:
    """Open the session with the second factor. Raises NotPossible (with code 5 when it has to be begun anew), Unavailable."""
    step = second_step()
    if step is None:
        raise NotPossible("", 5)
    made = backend().ask(
        AGENT_SOCKET,
        "session-second-step",
        Claim(address=_here()),
        ticket=step["ticket"],
        code=code[:100],
        passkey=passkey[:20_000],
        name=browser_name(request.user_agent.string),
        seconds=seconds,
    )
    _enter(made)


def _here() -> str:
    return client_address(trusted_proxies())


def _anew() -> None:
    """An empty cookie, in the language that was chosen."""
    language = session.get(LANGUAGE)
    session.clear()
    if language:
        session[LANGUAGE] = language


def _entered(made: dict[str, Any]) -> bool:
    """False when the agent asks for a second factor first."""
    if "second_step" in made:
        _anew()
        session[SECOND] = made["second_step"]
        return False
    _enter(made)
    return True


def _enter(made: dict[str, Any]) -> None:
    _anew()
    session[TOKEN], session[LOGIN] = made["password"], made["login"]


def over(token: str) -> None:
    """The session of this token has ended: its IMAP connections are closed, and its cookie counts no more."""
    current_app.extensions["gatepost_mailboxes"].drop(token)
    current_app.extensions["gatepost_body_limits"].ended(token)


def end() -> None:
    """Log out: the session is revoked, the cookie emptied. Raises Unavailable."""
    token = session.get(TOKEN, "")
    try:
        if token:
            backend().ask(AGENT_SOCKET, "session-close", claim(), token=token)
    except SessionEnded:
        pass
    finally:
        if token:
            over(token)
        _anew()
