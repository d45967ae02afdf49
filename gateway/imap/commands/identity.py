"""ID (RFC 2971). What the client says of itself is checked and forgotten."""

from gateway.ask import Dialogue
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.registry import ANY, command
from gateway.imap.session import Session

MAX_PAIRS = 30  # RFC 2971 3.3
MAX_FIELD = 30
MAX_VALUE = 1024


@command("ID", states=ANY, capability="ID")
def identify(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    if not arguments.at(b"NIL"):
        arguments.expect(b"(")
        pairs = 0
        while not arguments.at(b")"):
            if pairs:
                arguments.space()
            pairs += 1
            if pairs > MAX_PAIRS or len(arguments.string()) > MAX_FIELD:
                raise BadCommand("too many or too long fields")
            arguments.space()
            if not arguments.at(b"NIL") and len(arguments.string()) > MAX_VALUE:
                raise BadCommand("value too long")
    arguments.end()
    yield b'* ID ("name" "Gatepost")\r\n'
    return ""
