"""UTF8 (RFC 6856 2.1): messages go out as they are, and not as `gateway.pop3.surrogate` shows them."""

from gateway.ask import Dialogue
from gateway.pop3.registry import Wrong, command
from gateway.pop3.session import Session


@command("UTF8", logged_in=False)
def utf8(session: Session, argument: bytes) -> Dialogue:
    if argument:
        raise Wrong("UTF8 stands alone")
    session.is_utf8 = True
    yield session.ok("UTF-8 from now on")
