"""USER and PASS (RFC 1939 7)."""

from gateway.ask import Dialogue
from gateway.pop3.registry import Wrong, command
from gateway.pop3.session import Session
from gateway.sasl.credentials import MAX_NAME, MAX_PASSWORD, SaslProblem, text


@command("USER", logged_in=False)
def user(session: Session, argument: bytes) -> Dialogue:
    session.require_privacy()
    if not argument:
        raise Wrong("name expected")
    session.user = argument
    yield session.ok("send PASS")


@command("PASS", logged_in=False)
def password(session: Session, argument: bytes) -> Dialogue:
    session.require_privacy()
    name, session.user = session.user, None
    if name is None:
        raise Wrong("USER first")
    try:
        login, secret = text(name, MAX_NAME), text(argument, MAX_PASSWORD)
    except SaslProblem as problem:
        raise Wrong(str(problem)) from None
    yield from session.log_in(login, secret)
