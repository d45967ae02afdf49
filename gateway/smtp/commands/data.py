"""DATA (RFC 5321 4.1.1.4)."""

from gateway.ask import Dialogue
from gateway.smtp import reply
from gateway.smtp.registry import verb
from gateway.smtp.session import Session


def not_ready(session: Session) -> bytes | None:
    """Why no message can come now, None when it can."""
    if session.envelope is None:
        return reply.reply(503, "5.5.1", "say MAIL and RCPT first")
    if not session.envelope.recipients:
        return reply.reply(554 if session.role.value != "lmtp" else 503, "5.5.1", "no valid recipients")
    return None


@verb("DATA", syntax="DATA")
def data(session: Session, argument: str) -> Dialogue:
    problem = not_ready(session)
    if argument:
        yield from session.problem(reply.SYNTAX)
    elif problem is not None:
        yield from session.problem(problem)
    elif session.incoming is not None:
        yield from session.problem(reply.reply(503, "5.5.1", "the message has begun with BDAT"))
    else:
        session.start_message()
        session.framing.start_data()
        yield reply.reply(354, "", "end with <CR><LF>.<CR><LF>")
