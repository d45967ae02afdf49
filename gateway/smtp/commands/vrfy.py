"""VRFY (RFC 5321 4.1.1.6): neither confirms nor denies (RFC 5321 7.3)."""

from gateway.ask import Dialogue
from gateway.smtp import reply
from gateway.smtp.registry import verb
from gateway.smtp.session import Session


@verb("VRFY", syntax="VRFY address", junk=True)
def vrfy(session: Session, argument: str) -> Dialogue:
    if argument:
        yield reply.reply(252, "2.1.5", "send some mail, RCPT says what is possible")
    else:
        yield from session.problem(reply.SYNTAX)
