"""BDAT (RFC 3030 2). Octets of a refused chunk are read and forgotten, so the session stays in step."""

from directory.model import Condition, Refused
from gateway.ask import Dialogue
from gateway.smtp import reply
from gateway.smtp.commands.data import not_ready
from gateway.smtp.registry import verb
from gateway.smtp.session import Session

MAX_DIGITS = 18


@verb("BDAT", syntax="BDAT size [LAST]")
def bdat(session: Session, argument: str) -> Dialogue:
    words = argument.split()
    size = words[0] if words else ""
    if not (size.isascii() and size.isdigit() and len(size) <= MAX_DIGITS) or (
        len(words) > 2 or (len(words) == 2 and words[1].upper() != "LAST")
    ):
        # how many octets follow is not known: what comes would be read as commands
        session.closing = True
        yield reply.reply(501, "5.5.4", "syntax: BDAT size [LAST]")
        return
    last = len(words) == 2
    problem = not_ready(session)
    session.framing.start_bdat(int(size))
    if problem is not None:
        session.errors += 1
        session.chunk_reply = problem
        if session.errors > session.settings.max_errors:
            session.closing = True
            yield reply.TOO_MANY_ERRORS
        return
    incoming = session.start_message()
    if incoming.failed is None and int(size) > session.settings.max_message_size:
        incoming.failed = Refused(Condition.MESSAGE_TOO_LARGE)
    if not last:
        session.chunk_reply = reply.reply(250, "2.0.0", f"{size} octets received")
