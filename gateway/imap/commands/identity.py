"""ID (RFC 2971). What the client says of itself is checked; its name may switch extensions off."""

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
        client = ""
        while not arguments.at(b")"):
            if pairs:
                arguments.space()
            pairs += 1
            if pairs > MAX_PAIRS or len(field := arguments.string()) > MAX_FIELD:
                raise BadCommand("too many or too long fields")
            arguments.space()
            value = b"" if arguments.at(b"NIL") else arguments.string()
            if len(value) > MAX_VALUE:
                raise BadCommand("value too long")
            if field.lower() == b"name":
                client = value.decode("utf-8", "replace")
        session.client = client
    arguments.end()
    if session.switch():
        yield f"* CAPABILITY {session.capability()}\r\n".encode()
    yield b'* ID ("name" "Gatepost")\r\n'
    return ""
