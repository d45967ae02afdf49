"""CAPA (RFC 2449 5)."""

from math import ceil

from gateway.ask import Dialogue
from gateway.pop3.registry import command
from gateway.pop3.session import Session
from gateway.pop3.settings import Pop3Settings
from gateway.sasl import MECHANISMS

DAY = 86_400.0


@command("CAPA", logged_in=None)
def capa(session: Session, argument: bytes) -> Dialogue:
    settings = session.settings
    lines = ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "UTF8", "LANG", f"EXPIRE {_expire(settings)}"]
    if settings.login_delay:
        lines.append(f"LOGIN-DELAY {ceil(settings.login_delay)}")
    if session.maildrop is None and (session.tls or session.plaintext_auth):
        lines += ["USER", f"SASL {' '.join(MECHANISMS)}"]
    if session.maildrop is None and session.may_start_tls and not session.tls:
        lines.append("STLS")
    lines.append("IMPLEMENTATION Gatepost")
    yield session.ok("capabilities") + "\r\n".join([*lines, ".", ""]).encode()


def _expire(settings: Pop3Settings) -> str:
    """For how many days a message stays at least (RFC 2449 6.7)."""
    if not settings.leave_on_server:
        return "0"
    return str(int(settings.expire // DAY)) if settings.expire else "NEVER"
