"""ENABLE (RFC 5161). CONDSTORE can be enabled (RFC 7162 3.1)."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import AUTHENTICATED, announce, command
from gateway.imap.session import Session

MAX_NAMES = 32

announce("CONDSTORE")


@command("ENABLE", states=AUTHENTICATED, capability="ENABLE")
def enable(session: Session, arguments: Parser) -> Dialogue:
    enabled = b""
    for _ in range(MAX_NAMES):
        arguments.space()
        if arguments.atom().upper() == b"CONDSTORE" and not session.condstore:
            session.condstore = True
            enabled = b" CONDSTORE"
        if arguments.at_end():
            break
    arguments.end()
    yield b"* ENABLED" + enabled + b"\r\n"
    return ""
