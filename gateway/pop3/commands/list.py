"""LIST (RFC 1939 5)."""

from gateway.ask import Dialogue
from gateway.pop3.multiline import listing
from gateway.pop3.registry import command
from gateway.pop3.session import Session


@command("LIST", logged_in=True)
def list_messages(session: Session, argument: bytes) -> Dialogue:
    if argument:
        message = session.message(argument)
        yield b"+OK %d %d\r\n" % (message.number, message.size)
        return
    yield from listing(b"%d %d\r\n" % (m.number, m.size) for m in session.living())
