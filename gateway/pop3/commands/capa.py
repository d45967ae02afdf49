"""CAPA (RFC 2449 5)."""

from gateway.ask import Dialogue
from gateway.pop3.registry import command
from gateway.pop3.session import Session
from gateway.sasl import MECHANISMS


@command("CAPA", logged_in=None)
def capa(session: Session, argument: bytes) -> Dialogue:
    lines = ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER"]
    if session.maildrop is None and (session.tls or session.plaintext_auth):
        lines += ["USER", f"SASL {' '.join(MECHANISMS)}"]
    if session.maildrop is None and session.may_start_tls and not session.tls:
        lines.append("STLS")
    lines.append("IMPLEMENTATION Gatepost")
    yield "\r\n".join(["+OK capabilities", *lines, ".", ""]).encode()
