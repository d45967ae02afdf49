"""RCPT (RFC 5321 4.1.1.3)."""

from gateway.ask import Ask, Dialogue
from gateway.mail.envelope import EnvelopeRecipient
from gateway.smtp import reply
from gateway.smtp.extensions import rcpt_parameters
from gateway.smtp.extensions.smtputf8 import check_characters
from gateway.smtp.grammar import check_address, path_and_parameters
from gateway.smtp.registry import verb
from gateway.smtp.requests import VerifyRecipient
from gateway.smtp.session import Session
from gateway.smtp.settings import Role

OK = reply.reply(250, "2.1.5", "OK")


@verb("RCPT", syntax="RCPT TO:<address> [parameters]")
def rcpt(session: Session, argument: str) -> Dialogue:
    envelope = session.envelope
    if envelope is None:
        yield from session.problem(reply.reply(503, "5.5.1", "say MAIL first"))
        return
    if session.incoming is not None:
        yield from session.problem(reply.reply(503, "5.5.1", "the message has begun with BDAT"))
        return
    path, parameters = path_and_parameters(argument, "TO")
    path = session.complete(path)
    limit = (
        session.settings.max_recipients_submission
        if session.role is Role.SUBMISSION
        else session.settings.max_recipients
    )
    if len(envelope.recipients) >= limit:
        yield reply.reply(452, "4.5.3", f"a message may have {limit} recipients, send the rest separately")
        return
    problem = rcpt_parameters(session, parameters) or check_characters(path, envelope.parameters)
    if problem is not None:
        yield from session.problem(problem)
        return
    if path.lower() != "postmaster":  # RFC 5321 4.5.1: without a domain too
        check_address(path)
    route = yield Ask(VerifyRecipient(path, envelope))
    envelope.recipients.append(EnvelopeRecipient(path, route, parameters))
    yield OK
