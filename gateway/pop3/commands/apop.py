"""APOP (RFC 1939 7) is refused: it needs every password in clear text on the server, and its MD5 proves nothing."""

from gateway.ask import Dialogue
from gateway.pop3.registry import Wrong, command
from gateway.pop3.session import Session


@command("APOP", logged_in=False)
def apop(session: Session, argument: bytes) -> Dialogue:
    raise Wrong("APOP would need your password in clear text here: use USER and PASS, or AUTH, over TLS")
