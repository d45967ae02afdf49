"""AUTHENTICATE (RFC 9051 6.2.2), with an initial response (SASL-IR, RFC 4959)."""

from gateway.imap.commands.login import enter
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.registry import LINE, Interactive, Phase, State, announce, command
from gateway.imap.session import No, Session
from gateway.sasl import MECHANISMS, SaslProblem, decode, encode, start


def _possible(phase: Phase) -> bool:
    return not phase.logged_in and phase.private


announce("SASL-IR", _possible)
for _mechanism in MECHANISMS:
    announce(f"AUTH={_mechanism}", _possible)


@command("AUTHENTICATE", states=frozenset({State.NOT_AUTHENTICATED}), interactive=True)
def authenticate(session: Session, arguments: Parser) -> Interactive:
    arguments.space()
    mechanism = arguments.atom().decode("ascii")
    line = None
    if not arguments.at_end():
        arguments.space()
        line = arguments.atom()
    arguments.end()
    if not session.private:
        raise No("[PRIVACYREQUIRED] encryption needed before AUTHENTICATE")
    steps = start(mechanism)
    if steps is None:
        raise No("[CANNOT] unknown mechanism")
    while steps.credentials is None:
        if line is None:
            yield f"+ {encode(steps.challenge)}\r\n".encode()
            line = yield LINE
        if line == b"*":
            raise BadCommand("authentication cancelled")
        try:
            steps.respond(decode(line))
        except SaslProblem as problem:
            raise BadCommand(str(problem)) from None
        line = None
    credentials = steps.credentials
    if credentials.authorization:
        raise No("[AUTHORIZATIONFAILED] nobody acts as somebody else")
    return (yield from enter(session, credentials.login, credentials.password))
