"""APPEND (RFC 9051 6.3.12), answered with APPENDUID (RFC 4315 3); APPENDLIMIT (RFC 7889). The message passes through as it arrives."""

from directory.model import Deferred
from gateway.ask import Ask
from gateway.imap.dates import read_date_time
from gateway.imap.flags import read_flags
from gateway.imap.names import mailbox_name
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import AppendPiece, BeginAppend, DropAppend, FinishAppend
from gateway.imap.quota import OVER_SOFT
from gateway.imap.registry import AUTHENTICATED, LINE, Interactive, Need, announce, command
from gateway.imap.session import No, Session

PIECE = 65536

announce("APPENDLIMIT", lambda phase: str(phase.append_limit))
_NO_BINARY = "[UNKNOWN-CTE] octets that are no text are not kept as they are; encode them"  # RFC 3516 4.4


@command("APPEND", states=AUTHENTICATED, interactive=True)
def append(session: Session, arguments: Parser) -> Interactive:
    arguments.space()
    name = mailbox_name(arguments.astring())
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
    message = arguments.message()
    if message.size > session.settings.max_append:
        raise No(f"[TOOBIG] a message has at most {session.settings.max_append} octets")
    if not message.size:
        raise No("[CANNOT] a message of no octets")
    yield from session.ask(BeginAppend(name, message.size, keywords))
    arguments.take_message()
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
    if (yield LINE) and problem is None:
        problem = BadCommand("one message, and nothing behind it")
    if problem is not None:
        yield Ask(DropAppend())
        raise problem
    done = yield from session.ask(FinishAppend(name, letters, keywords, date))
    if done.over_soft:
        yield OVER_SOFT
    return f"[APPENDUID {done.uidvalidity} {done.uid}] appended"
