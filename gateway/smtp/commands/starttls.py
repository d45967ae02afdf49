"""STARTTLS (RFC 3207). Plaintext behind it is dropped, everything the client said before is forgotten."""

from gateway.ask import Ask, Dialogue
from gateway.smtp import reply
from gateway.smtp.registry import verb
from gateway.smtp.requests import StartTls
from gateway.smtp.session import Session


@verb("STARTTLS", syntax="STARTTLS", junk=True)
def starttls(session: Session, argument: str) -> Dialogue:
    if argument:
        yield from session.problem(reply.SYNTAX)
    elif session.client.tls:
        yield from session.problem(reply.reply(503, "5.5.1", "TLS is already active"))
    elif not session.starttls_possible:
        yield from session.problem(reply.reply(502, "5.5.1", "TLS is not offered"))
    else:
        session.framing.discard()
        yield from session.reset()
        session.forget_client()
        yield reply.reply(220, "2.0.0", "ready to start TLS")
        yield Ask(StartTls())
