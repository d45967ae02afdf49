"""UIDL (RFC 1939 7): `%08Xu%08Xv` of UID and UIDVALIDITY, for ever."""

from gateway.ask import Dialogue
from gateway.pop3.multiline import listing
from gateway.pop3.registry import command
from gateway.pop3.session import Session


@command("UIDL", logged_in=True)
def uidl(session: Session, argument: bytes) -> Dialogue:
    assert session.maildrop is not None
    validity = session.maildrop.uidvalidity
    if argument:
        message = session.message(argument)
        yield b"+OK %d %08Xu%08Xv\r\n" % (message.number, message.uid, validity)
        return
    yield from listing(b"%d %08Xu%08Xv\r\n" % (m.number, m.uid, validity) for m in session.living())
