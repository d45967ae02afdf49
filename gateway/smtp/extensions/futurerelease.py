"""FUTURERELEASE (RFC 4865): a submitted message that is not to go before a moment. Offered to people who send."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.smtp import reply
from gateway.smtp.session import Session
from gateway.smtp.settings import Role

MAIL_PARAMETERS = ("HOLDFOR", "HOLDUNTIL")
MAX_DIGITS = 9  # RFC 4865 3


def keyword(session: Session) -> str | None:
    longest = int(session.settings.max_hold)
    if session.role is not Role.SUBMISSION or not longest:
        return None
    until = datetime.fromtimestamp(int(session.began) + longest, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"FUTURERELEASE {longest} {until}"


def check_mail(session: Session, parameters: dict[str, str]) -> bytes | None:
    if "HOLDFOR" in parameters and "HOLDUNTIL" in parameters:
        return reply.reply(501, "5.5.4", "one of HOLDFOR and HOLDUNTIL, not both")
    try:
        moment = not_before(parameters, session.began)
    except ValueError as problem:
        return reply.reply(501, "5.5.4", str(problem))
    if moment > session.began + session.settings.max_hold:
        return reply.reply(501, "5.5.4", f"a message is held for {int(session.settings.max_hold)} seconds at most")
    return None


def not_before(parameters: dict[str, str], now: float) -> float:
    """When the message may go, in unix time; 0 = at once. Raises ValueError with a text for the client."""
    held, until = parameters.get("HOLDFOR"), parameters.get("HOLDUNTIL")
    if held is not None:
        if not held.isascii() or not held.isdigit() or len(held) > MAX_DIGITS or int(held) == 0:
            raise ValueError(f"HOLDFOR is a number of seconds, 1 to {MAX_DIGITS} digits")
        return now + int(held)
    if until is not None:
        try:
            moment = datetime.fromisoformat(until)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None or "T" not in until:
            raise ValueError("HOLDUNTIL is a moment with its zone, as in 2030-01-31T08:00:00Z")
        return moment.timestamp()
    return 0.0
