"""LSUB (RFC 3501 6.3.9)."""

from gateway.ask import Ask, Dialogue
from gateway.imap.listing import ListMailboxes, pattern_of, shown, subscribed_names
from gateway.imap.parser import Parser
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import Session


@command("LSUB", states=AUTHENTICATED)
def lsub(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    reference = arguments.astring()
    arguments.space()
    wanted = arguments.pattern()
    arguments.end()
    if not wanted:
        yield b'* LSUB (\\Noselect) "/" ""\r\n'
        return ""
    pattern = pattern_of(reference, wanted, utf8=session.utf8)
    mailboxes = yield Ask(ListMailboxes())
    lines = subscribed_names(mailboxes, pattern)
    yield b"".join(
        [shown(b"LSUB", session.quoted(line.listed.name), line, extended=False, below=None) for line in lines]
    )
    return ""
