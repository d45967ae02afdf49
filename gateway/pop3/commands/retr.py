"""RETR and TOP (RFC 1939 5, 7)."""

from gateway.ask import Ask, Dialogue
from gateway.pop3.ports import Content
from gateway.pop3.registry import Wrong, command
from gateway.pop3.session import Session, stuffed


def _content(session: Session, argument: bytes) -> Dialogue:
    _, message = session.message(argument)
    stored = yield Ask(Content(message.uid))
    if stored is None:
        raise Wrong("[SYS/TEMP] message is gone")
    return stored


@command("RETR", logged_in=True)
def retr(session: Session, argument: bytes) -> Dialogue:
    stored = yield from _content(session, argument)
    yield b"+OK %d octets\r\n" % (len(stored) + stored.count(b"\n")) + stuffed(stored)


@command("TOP", logged_in=True)
def top(session: Session, argument: bytes) -> Dialogue:
    number, _, lines = argument.partition(b" ")
    if not (lines.isdigit() and len(lines) <= 10):
        raise Wrong("number of lines expected")
    stored = yield from _content(session, number)
    blank = stored.find(b"\n\n")
    end = len(stored) if blank < 0 else blank + 2
    for _ in range(int(lines)):
        following = stored.find(b"\n", end)
        if following < 0:
            end = len(stored)
            break
        end = following + 1
    yield b"+OK\r\n" + stuffed(stored[:end])
