"""RENAME (RFC 9051 6.3.6)."""

from gateway.ask import Dialogue
from gateway.imap.names import SEPARATOR
from gateway.imap.parser import Parser
from gateway.imap.ports import RenameMailbox
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import Session


@command("RENAME", states=AUTHENTICATED)
def rename(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    arguments.space()
    new = session.mailbox_name(arguments.astring().removesuffix(SEPARATOR.encode()))
    arguments.end()
    yield from session.ask(RenameMailbox(name, new))
    selected = session.selected
    if selected is not None and name == "INBOX":
        yield from session.look()  # its messages have moved
    elif selected is not None and (selected.name == name or selected.name.startswith(name + SEPARATOR)):
        selected.name = new + selected.name.removeprefix(name)
    return ""
