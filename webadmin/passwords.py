"""Passwords: what the directory demands of one, in words, and a change of one's own."""

from __future__ import annotations

from flask import render_template
from flask_babel import gettext

from directory.model import Condition
from gateway.control.protocol import Claim
from webadmin.backend import AGENT_SOCKET, NotPossible, Unavailable
from webadmin.client import client_address
from webadmin.mail.recipients import N_
from webadmin.person import ask, backend, trusted_proxies

NOT_ALLOWED = 5
#: what the directory says of passwords that it does not take
REASONS = (
    N_("the directory does not let this password be changed"),
    N_("the directory finds the password too weak"),
    N_("the password is too short"),
    N_("the password was changed too recently"),
    N_("the password was used before"),
)


def policy(claim: Claim | None = None) -> list[str]:
    """What a password must be, in words; [] where the directory does not tell."""
    try:
        found = backend().ask(AGENT_SOCKET, "password-policy", claim) if claim else ask("password-policy")
    except (NotPossible, Unavailable):
        return []
    if found is None:
        return []
    told = []
    if found["min_length"]:
        told.append(gettext("It has at least %(number)s characters.", number=found["min_length"]))
    if found["is_complex"]:
        told.append(gettext("It has three of these: capital letters, small letters, digits, other characters."))
    if found["history"]:
        told.append(gettext("It is none of your last %(number)s passwords.", number=found["history"]))
    if found["min_age_seconds"] >= 3600:
        hours = found["min_age_seconds"] // 3600
        told.append(gettext("It can be changed again after %(number)s hours.", number=hours))
    if found["max_age_days"]:
        told.append(gettext("It is good for %(number)s days.", number=found["max_age_days"]))
    return told


def set_password(login: str, old: str, new: str, again: str) -> str:
    """Have the directory set it; "" = done, else what is wrong, in words. Raises Unavailable."""
    if not old or not new:
        return str(gettext("Type the password that you have and, twice, the new one."))
    if new != again:
        return str(gettext("The new password was typed differently the second time."))
    if new == old:
        return str(gettext("The new password is the one that you have."))
    claim = claim_of(login, old)
    try:
        backend().ask(AGENT_SOCKET, "set-password", claim, login=login, password=new)
    except NotPossible as problem:
        return _words(problem)
    return ""


def _words(problem: NotPossible) -> str:
    text = problem.said
    if problem.code == NOT_ALLOWED and "authentication failed" in text:
        return str(gettext("The password that you have is not right."))
    known = next((reason for reason in REASONS if reason in text), None)
    if known is not None:
        return str(gettext("Not changed: %(reason)s.", reason=gettext(known)))
    if "quality" in text:
        return str(gettext("Not changed: %(reason)s.", reason=gettext(REASONS[1])))
    return str(problem)


def claim_of(login: str, password: str) -> Claim:
    """Who says that he is `login`, at the browser."""
    return Claim(login=login, password=password, address=client_address(trusted_proxies()))


def must_change(problem: NotPossible) -> bool:
    """True when somebody was not let in because his password, which is right, must be changed first."""
    return problem.code == NOT_ALLOWED and problem.said.endswith(Condition.PASSWORD_MUST_CHANGE.text)


def forced(login: str, to: str, problem: str = "", claim: Claim | None = None) -> str:
    """The form for somebody who is not let in before he has changed his password."""
    told = policy(claim) if claim is not None else []
    return render_template("self/password.html", told=told, problem=problem, forced=True, login=login, to=to)
