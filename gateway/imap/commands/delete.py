"""DELETE (RFC 9051 6.3.5)."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.ports import DeleteMailbox
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import Session


@command("DELETE", states=AUTHENTICATED)
def delete(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    arguments.end()
    yield from session.ask(DeleteMailbox(name))
    if session.selected is not None and session.selected.name == name:
        session.selected = None
        yield b"* OK [CLOSED] the mailbox is deleted\r\n"
    return ""
