"""MAIL (RFC 5321 4.1.1.2)."""

from gateway.ask import Dialogue
from gateway.mail.envelope import Envelope
from gateway.smtp import reply
from gateway.smtp.extensions import mail_parameters
from gateway.smtp.grammar import check_address, path_and_parameters
from gateway.smtp.registry import verb
from gateway.smtp.session import Session


@verb("MAIL", syntax="MAIL FROM:<address> [parameters]")
def mail(session: Session, argument: str) -> Dialogue:
    if session.envelope is not None:
        yield reply.reply(503, "5.5.1", "a transaction is open, end it with DATA or RSET")
        return
    path, parameters = path_and_parameters(argument, "FROM")
    if path:
        check_address(path)
    problem = mail_parameters(session, parameters)
    if problem is not None:
        yield problem
        return
    session.envelope = Envelope(path, parameters)
    yield reply.reply(250, "2.1.0", "OK")
