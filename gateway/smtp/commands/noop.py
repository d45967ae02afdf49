"""NOOP (RFC 5321 4.1.1.9)."""

from gateway.ask import Dialogue
from gateway.smtp import reply
from gateway.smtp.registry import verb
from gateway.smtp.session import Session


@verb("NOOP", syntax="NOOP", after_greeting=False, junk=True)
def noop(session: Session, argument: str) -> Dialogue:
    yield reply.OK
