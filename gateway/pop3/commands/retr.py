"""RETR and TOP (RFC 1939 5, 7). A message goes out in pieces; one that breaks off is never closed by a dot."""

from directory.model import Deferred, Refused
from gateway.ask import Ask, Dialogue
from gateway.pop3.multiline import Stuffing, Top
from gateway.pop3.ports import Content, Message, More, Piece
from gateway.pop3.registry import Wrong, command
from gateway.pop3.session import Session


def _send(session: Session, message: Message, first_line: bytes, top: Top | None = None) -> Dialogue:
    piece: Piece | None = yield Ask(Content(message.uid))
    if piece is None:
        raise Wrong("[SYS/TEMP] message is gone")
    stuffing = Stuffing()
    closing, session.closing = session.closing, True  # should the rest fail, the client must not take it for whole
    yield first_line + stuffing.text(piece.octets if top is None else top.cut(piece.octets))
    while not piece.is_last and not (top is not None and top.is_done):
        try:
            piece = yield Ask(More())
        except (Deferred, Refused):
            return
        yield stuffing.text(piece.octets if top is None else top.cut(piece.octets))
    session.closing = closing
    yield stuffing.end()


@command("RETR", logged_in=True)
def retr(session: Session, argument: bytes) -> Dialogue:
    message = session.message(argument)
    yield from _send(session, message, b"+OK %d octets\r\n" % message.size)


@command("TOP", logged_in=True)
def top(session: Session, argument: bytes) -> Dialogue:
    number, _, lines = argument.partition(b" ")
    if not (lines.isdigit() and len(lines) <= 10):
        raise Wrong("number of lines expected")
    message = session.message(number)
    yield from _send(session, message, b"+OK\r\n", Top(int(lines)))
