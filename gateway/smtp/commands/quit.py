"""QUIT (RFC 5321 4.1.1.10)."""

from gateway.ask import Dialogue
from gateway.smtp import reply
from gateway.smtp.registry import verb
from gateway.smtp.session import Session


@verb("QUIT", syntax="QUIT", after_greeting=False)
def quit(session: Session, argument: str) -> Dialogue:  # noqa: A001
    session.closing = True
    yield reply.BYE
