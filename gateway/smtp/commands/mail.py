"""MAIL (RFC 5321 4.1.1.2)."""

from directory.model import Condition, Refused
from gateway.ask import Ask, Dialogue
from gateway.mail.envelope import Envelope
from gateway.smtp import reply
from gateway.smtp.extensions import mail_parameters
from gateway.smtp.extensions.smtputf8 import check_characters
from gateway.smtp.grammar import check_address, path_and_parameters
from gateway.smtp.registry import verb
from gateway.smtp.requests import CheckOriginator
from gateway.smtp.session import Session
from gateway.smtp.settings import Role


@verb("MAIL", syntax="MAIL FROM:<address> [parameters]")
def mail(session: Session, argument: str) -> Dialogue:
    if session.envelope is not None:
        yield from session.problem(reply.reply(503, "5.5.1", "a transaction is open, end it with DATA or RSET"))
        return
    if session.role is Role.SUBMISSION and session.login is None:
        raise Refused(Condition.AUTHENTICATION_REQUIRED)
    path, parameters = path_and_parameters(argument, "FROM")
    path = session.complete(path)
    problem = mail_parameters(session, parameters) or check_characters(path, parameters)
    if problem is not None:
        yield from session.problem(problem)
        return
    if path:
        check_address(path)
    if session.login is not None:
        size = parameters.get("SIZE")
        yield Ask(CheckOriginator(path, int(size) if size else None))
    session.envelope = Envelope(path, parameters)
    yield reply.reply(250, "2.1.0", "OK")
