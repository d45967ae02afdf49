"""LIST (RFC 3501 6.3.8) with \\HasChildren and \\HasNoChildren (RFC 3348)."""

from gateway.ask import Ask, Dialogue
from gateway.imap.names import MAX_NAME, SEPARATOR, BadName, decode, matches, quoted
from gateway.imap.parser import Parser
from gateway.imap.ports import ListMailboxes
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import Session


@command("LIST", states=AUTHENTICATED, capability="CHILDREN")
def list_mailboxes(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    reference = arguments.astring()
    arguments.space()
    wanted = arguments.pattern()
    arguments.end()
    if not wanted:
        yield b'* LIST (\\Noselect) "/" ""\r\n'
        return ""
    if len(reference) + len(wanted) > MAX_NAME:
        raise BadName("the pattern is too long")
    pattern = decode(reference + wanted)
    first, slash, rest = pattern.partition(SEPARATOR)
    if first.upper() == "INBOX":
        pattern = "INBOX" + slash + rest
    names = yield Ask(ListMailboxes())
    parents = {name[:at] for name in names for at, character in enumerate(name) if character == SEPARATOR}
    lines = []
    for name in sorted(parents.union(names)):
        if matches(pattern, name):
            missing = b"" if name in names else b"\\Noselect "
            children = b"\\HasChildren" if name in parents else b"\\HasNoChildren"
            lines.append(b"* LIST (" + missing + children + b') "/" ' + quoted(name) + b"\r\n")
    yield b"".join(lines)
    return ""
