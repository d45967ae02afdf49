"""EHLO, HELO (RFC 5321 4.1.1.1) and LHLO (RFC 2033 4.1)."""

from gateway.ask import Dialogue
from gateway.smtp import reply
from gateway.smtp.extensions import keywords
from gateway.smtp.grammar import SyntaxProblem, is_host_name
from gateway.smtp.registry import SMTP, verb
from gateway.smtp.session import Session
from gateway.smtp.settings import Role


def _greet(session: Session, argument: str, *, extended: bool) -> Dialogue:
    if not is_host_name(argument):
        raise SyntaxProblem("a host name or address literal is needed")
    yield from session.reset()
    session.helo, session.extended = argument, extended
    if extended:
        yield reply.reply(250, "", session.hostname, *keywords(session))
    else:
        yield reply.reply(250, "", session.hostname)


@verb("EHLO", syntax="EHLO host", roles=SMTP, after_greeting=False, junk=True)
def ehlo(session: Session, argument: str) -> Dialogue:
    yield from _greet(session, argument, extended=True)


@verb("HELO", syntax="HELO host", roles=SMTP, after_greeting=False, junk=True)
def helo(session: Session, argument: str) -> Dialogue:
    yield from _greet(session, argument, extended=False)


@verb("LHLO", syntax="LHLO host", roles=frozenset({Role.LMTP}), after_greeting=False, junk=True)
def lhlo(session: Session, argument: str) -> Dialogue:
    yield from _greet(session, argument, extended=True)
