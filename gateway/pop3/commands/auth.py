"""AUTH (RFC 5034), with an initial response; the mechanisms are those of `gateway.sasl`."""

from directory.model import Condition, Refused
from gateway.ask import Dialogue
from gateway.pop3.registry import Wrong, command
from gateway.pop3.session import Session
from gateway.sasl import MECHANISMS, SaslProblem, Steps, decode, encode, start


@command("AUTH", logged_in=False)
def auth(session: Session, argument: bytes) -> Dialogue:
    session.require_privacy()
    name, space, initial = argument.partition(b" ")
    steps = start(name.decode("ascii", "replace"))
    if steps is None:
        raise Wrong(f"mechanisms are {' and '.join(MECHANISMS)}")
    if space:
        yield from _respond(session, steps, initial)
    else:
        yield from _challenge(session, steps)


def _challenge(session: Session, steps: Steps) -> Dialogue:
    session.pending = lambda line: _respond(session, steps, line)
    yield f"+ {encode(steps.challenge)}\r\n".encode()


def _respond(session: Session, steps: Steps, line: bytes) -> Dialogue:
    if line == b"*":
        raise Wrong("cancelled")
    try:
        steps.respond(decode(line))
    except SaslProblem as problem:
        raise Wrong(str(problem)) from None
    credentials = steps.credentials
    if credentials is None:
        yield from _challenge(session, steps)
    elif credentials.authorization:
        raise Refused(Condition.AUTHENTICATION_FAILED, "nobody acts as somebody else")
    else:
        yield from session.log_in(credentials.login, credentials.password)
