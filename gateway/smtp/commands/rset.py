"""RSET (RFC 5321 4.1.1.5)."""

from gateway.ask import Dialogue
from gateway.smtp import reply
from gateway.smtp.registry import verb
from gateway.smtp.session import Session


@verb("RSET", syntax="RSET", after_greeting=False, junk=True)
def rset(session: Session, argument: str) -> Dialogue:
    if argument:
        yield from session.problem(reply.SYNTAX)
        return
    yield from session.reset()
    yield reply.OK
