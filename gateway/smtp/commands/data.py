"""DATA (RFC 5321 4.1.1.4)."""

from gateway.ask import Dialogue
from gateway.smtp import reply
from gateway.smtp.registry import verb
from gateway.smtp.session import Session


@verb("DATA", syntax="DATA")
def data(session: Session, argument: str) -> Dialogue:
    if argument:
        yield reply.SYNTAX
    elif session.envelope is None:
        yield reply.reply(503, "5.5.1", "say MAIL and RCPT first")
    elif not session.envelope.recipients:
        yield reply.reply(554, "5.5.1", "no valid recipients")
    else:
        session.framing.start_data()
        yield reply.reply(354, "", "end with <CR><LF>.<CR><LF>")
