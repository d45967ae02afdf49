"""Messages on their way into a mailbox, as APPEND and REPLACE take them: one after the other (MULTIAPPEND, RFC 3502),
each as a literal or put together from texts and parts of other messages (CATENATE, RFC 4469).

What comes passes through. An error ends the command at once; what the client sends nevertheless is skipped.
"""

from __future__ import annotations

from directory.model import Deferred, Refused
from gateway.ask import Ask
from gateway.imap.dates import read_date_time
from gateway.imap.flags import read_flags
from gateway.imap.framing import Message, split_literal
from gateway.imap.names import BadName
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Appended, AppendPart, AppendPiece, BeginAppend, DropAppend
from gateway.imap.registry import LINE, Interactive, Need
from gateway.imap.session import No, Session
from gateway.imap.urls import MAX_URL, BadUrl, read_url

PIECE = 65536
MAX_MESSAGES = 500  # of one APPEND
MAX_PARTS = 1000  # of one CATENATE
MAX_TOGETHER = 4  # times `imap.max_append`: octets of all messages of one APPEND
_NO_BINARY = "[UNKNOWN-CTE] octets that are no text are not kept as they are; encode them"  # RFC 3516 4.4


def appenduid(appended: Appended, uids: str) -> str:
    """The response code (RFC 4315 3)."""
    return f"[APPENDUID {appended.uidvalidity} {uids}]"


class Arriving:
    """The messages of one command."""

    def __init__(self, session: Session, arguments: Parser, mailbox: str, *, replaces: int = 0) -> None:
        """`replaces` is the UID of a message in the selected mailbox that is to go, 0 for none."""
        self._replaces = replaces
        self._session = session
        self._arguments = arguments
        self._mailbox = mailbox
        self._size = 0  # of the message that comes now
        self._together = 0

    def take(self, *, most: int) -> Interactive:
        """Take messages up to the end of the command; their driver keeps them. Raises what a command may raise."""
        try:
            for _ in range(most):
                yield from self._message()
                if self._arguments.at_end() and self._arguments.refused is None:
                    return
            raise BadCommand("one message, and nothing behind it" if most == 1 else "too many messages")
        except (No, BadCommand, BadName, Deferred, Refused):
            yield Ask(DropAppend())
            raise

    def _message(self) -> Interactive:
        arguments = self._arguments
        arguments.space()
        letters = keywords = ""
        if arguments.ahead(b"("):
            letters, keywords = read_flags(arguments)
            arguments.space()
        date = None
        if arguments.ahead(b'"'):
            date = read_date_time(arguments.string())
            if date is None:
                raise BadCommand("date-time expected")
            arguments.space()
        self._size = 0
        is_utf8 = self._session.utf8 and arguments.at(b"UTF8 (")  # RFC 9755 4
        if not is_utf8 and arguments.at(b"CATENATE ("):
            yield from self._session.ask(BeginAppend(self._mailbox, 0, letters, keywords, date, self._replaces))
            yield from self._parts()
            if not self._size:
                raise No("[CANNOT] a message of no octets")
            return
        message = arguments.message()
        self._count(message.size)
        if not message.size:
            raise No("[CANNOT] a message of no octets")  # so a client gives up what it has begun (RFC 3502 6.3.11)
        begin = BeginAppend(self._mailbox, message.size, letters, keywords, date, self._replaces)
        yield from self._session.ask(begin)
        yield from self._octets(message)
        if is_utf8:
            arguments.expect(b")")

    def _count(self, octets: int) -> None:
        limit = self._session.settings.max_append
        self._size += octets
        self._together += octets
        if self._size > limit:
            raise No(f"[TOOBIG] a message has at most {limit} octets")
        if self._together > MAX_TOGETHER * limit:
            raise No(f"[TOOBIG] messages of one command have at most {MAX_TOGETHER * limit} octets")

    def _octets(self, message: Message) -> Interactive:
        """The literal that comes next, and the beginning of what stands behind it."""
        self._arguments.take_message()
        if message.synchronising:
            yield b"+ go ahead\r\n"
        problem: Exception | None = None
        left = message.size
        while left:
            piece = yield Need(min(left, PIECE))
            left -= len(piece)
            if problem is None and b"\0" in piece:
                problem = BadCommand("NUL in a message") if not message.is_binary else No(_NO_BINARY)
            if problem is None:
                try:
                    yield Ask(AppendPiece(piece))
                except Deferred as error:
                    problem = error
        yield from self._next_line()
        if problem is not None:
            raise problem

    def _next_line(self) -> Interactive:
        line = yield LINE
        self._arguments.go_on(*split_literal(line))

    def _parts(self) -> Interactive:
        """What stands between the brackets of CATENATE."""
        arguments = self._arguments
        for count in range(MAX_PARTS):
            if count:
                arguments.space()
            if arguments.at(b"URL "):
                yield from self._url()
            elif arguments.at(b"TEXT "):
                message = arguments.message()
                self._count(message.size)
                yield from self._octets(message)
            else:
                raise BadCommand("URL or TEXT expected")
            if arguments.at(b")"):
                return
        raise BadCommand("too many parts")

    def _url(self) -> Interactive:
        arguments = self._arguments
        if arguments.refused is not None and arguments.at_end():
            message = arguments.message()
            if message.size > MAX_URL:
                raise BadCommand("the URL is too long")
            arguments.take_message()
            if message.synchronising:
                yield b"+ go ahead\r\n"
            octets = b""
            while len(octets) < message.size:
                octets += yield Need(message.size - len(octets))
            yield from self._next_line()
        else:
            octets = arguments.astring()
        try:
            url = read_url(octets)
        except BadUrl:
            raise No(f"[BADURL {_shown(octets)}] no URL of a message here, as /INBOX/;UID=1") from None
        added = yield Ask(AppendPart(url, self._session.settings.max_append - self._size))
        if added is None:
            raise No(f"[BADURL {_shown(octets)}] there is no such message or part")
        self._count(added)


def _shown(url: bytes) -> str:
    """The URL as a response code may hold it."""
    return "".join([chr(octet) if 0x20 < octet < 0x7F and octet not in b"]\\" else "?" for octet in url[:1000]])
