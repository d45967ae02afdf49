"""STAT (RFC 1939 5)."""

from gateway.ask import Dialogue
from gateway.pop3.registry import command
from gateway.pop3.session import Session


@command("STAT", logged_in=True)
def stat(session: Session, argument: bytes) -> Dialogue:
    sizes = [message.size for message in session.living()]
    yield b"+OK %d %d\r\n" % (len(sizes), sum(sizes))
