"""RETR and TOP (RFC 1939 5, 7; RFC 6856 2.1). A message goes out in pieces; one that breaks off is never closed by a dot."""

from directory.model import Deferred, Refused
from gateway.ask import Ask, Dialogue
from gateway.pop3.multiline import Stuffing, Top
from gateway.pop3.ports import Content, Message, More, Piece
from gateway.pop3.registry import Wrong, command
from gateway.pop3.session import Session
from gateway.pop3.surrogate import surrogate


def _send(session: Session, message: Message, first_line: bytes, top: Top | None = None) -> Dialogue:
    piece: Piece | None = yield Ask(Content(message.uid))
    if piece is None:
        raise Wrong("[SYS/TEMP] message is gone")
    stuffing = Stuffing()
    shown = piece.octets if session.is_utf8 else _surrogate(piece)
    if shown is not piece.octets:
        first_line = b"+OK\r\n"  # it is no longer of that size
    closing, session.closing = session.closing, True  # should the rest fail, the client must not take it for whole
    yield first_line + stuffing.text(shown if top is None else top.cut(shown))
    while not piece.is_last and not (top is not None and top.is_done):
        try:
            piece = yield Ask(More())
        except (Deferred, Refused):
            return
        yield stuffing.text(piece.octets if top is None else top.cut(piece.octets))
    session.closing = closing
    yield stuffing.end()


def _surrogate(piece: Piece) -> bytes:
    """The first piece of a message as it is shown without UTF8; the same object where nothing is changed.

    A header that is longer than a piece stays as it is.
    """
    end = piece.octets.find(b"\n\n") + 1
    if not end and not piece.is_last:
        return piece.octets
    header = piece.octets[:end] if end else piece.octets
    ascii_header = surrogate(header)
    return piece.octets if ascii_header is header else ascii_header + piece.octets[len(header) :]


@command("RETR", logged_in=True)
def retr(session: Session, argument: bytes) -> Dialogue:
    message = session.message(argument)
    yield from _send(session, message, b"+OK %d octets\r\n" % message.size)
    session.retrieved.add(message.uid)


@command("TOP", logged_in=True)
def top(session: Session, argument: bytes) -> Dialogue:
    number, _, lines = argument.partition(b" ")
    if not (lines.isdigit() and len(lines) <= 10):
        raise Wrong("number of lines expected")
    message = session.message(number)
    yield from _send(session, message, b"+OK\r\n", Top(int(lines)))
