"""NAMESPACE (RFC 2342): one's own mailboxes, those of other people, shared ones."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import Session


@command("NAMESPACE", states=AUTHENTICATED, capability="NAMESPACE")
def namespace(session: Session, arguments: Parser) -> Dialogue:
    arguments.end()
    yield b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared/" "/"))\r\n'
    return ""
