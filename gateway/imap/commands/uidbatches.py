"""UIDBATCHES (RFC 10022): ranges of UIDs, from the latest messages on, that hold the same number of messages each."""

from gateway.ask import Dialogue
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.registry import SELECTED, command
from gateway.imap.session import No, Session
from gateway.imap.view import View

MIN_SIZE = 500  # of a batch; RFC 10022 lets a client count on it


def _range(arguments: Parser) -> tuple[int, int | None]:
    """The first and the last batch that are asked for, from 1; None for the last one that there is."""
    if not arguments.at(b" "):
        return 1, None
    first = arguments.number()
    arguments.expect(b":")
    last = arguments.number()
    if not 0 < first <= last:
        raise BadCommand("[CLIENTBUG] batches begin with 1, the lower number first")
    return first, last


def _batches(view: View, size: int, first: int, last: int | None) -> bytes:
    """The ranges, separated by commas: each begins where the one before ends, the last one goes down to 1."""
    count = -(-view.count // size)
    found = []
    for number in range(first, min(last or count, count) + 1):
        high = view.last_uid if number == 1 else view.uid(view.count - (number - 1) * size + 1) - 1
        low = 1 if number == count else view.uid(view.count - number * size + 1)
        found.append(b"%d:%d" % (high, low))
    return b",".join(found)


@command("UIDBATCHES", states=SELECTED, capability="UIDBATCHES")
def uid_batches(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    size = arguments.number()
    first, last = _range(arguments)
    arguments.end()
    if size < MIN_SIZE:
        raise No(f"[TOOFEW] a batch has at least {MIN_SIZE} messages")
    assert session.selected is not None
    said = _batches(session.selected.view, size, first, last)
    tag = session.tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    yield b'* UIDBATCHES (TAG "%b")%b\r\n' % (tag, b" " + said if said else b"")
    return ""
