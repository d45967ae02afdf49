"""ENABLE (RFC 5161). CONDSTORE and QRESYNC can be enabled (RFC 7162 3.1, 3.2.3)."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import AUTHENTICATED, announce, command
from gateway.imap.session import Session

MAX_NAMES = 32

announce("CONDSTORE")
announce("QRESYNC")


@command("ENABLE", states=AUTHENTICATED, capability="ENABLE")
def enable(session: Session, arguments: Parser) -> Dialogue:
    enabled = b""
    for _ in range(MAX_NAMES):
        arguments.space()
        name = arguments.atom().upper()
        if name == b"CONDSTORE" and not session.condstore:
            session.condstore = True
            enabled += b" CONDSTORE"
        elif name == b"QRESYNC" and not session.qresync:
            session.condstore = session.qresync = True
            enabled += b" QRESYNC"
        if arguments.at_end():
            break
    arguments.end()
    yield b"* ENABLED" + enabled + b"\r\n"
    return ""
