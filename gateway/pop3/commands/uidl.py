"""UIDL (RFC 1939 7): `%08Xu%08Xv` of UID and UIDVALIDITY, or what another server called the message; for ever."""

from gateway.ask import Dialogue
from gateway.pop3.multiline import listing
from gateway.pop3.registry import command
from gateway.pop3.session import Session


@command("UIDL", logged_in=True)
def uidl(session: Session, argument: bytes) -> Dialogue:
    assert session.maildrop is not None
    unique_id = session.maildrop.unique_id
    if argument:
        message = session.message(argument)
        yield b"+OK %d %s\r\n" % (message.number, unique_id(message.uid))
        return
    yield from listing(b"%d %s\r\n" % (m.number, unique_id(m.uid)) for m in session.living())
