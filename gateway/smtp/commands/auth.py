"""AUTH (RFC 4954): PLAIN and LOGIN, on submission only."""

from functools import partial

from directory.model import Condition, Deferred, Refused
from gateway.ask import Ask, Dialogue
from gateway.sasl import MECHANISMS, SaslProblem, Steps, decode, encode, start
from gateway.smtp import reply
from gateway.smtp.registry import verb
from gateway.smtp.requests import Authenticate
from gateway.smtp.session import Session
from gateway.smtp.settings import Role

FAILED = reply.condition_reply(Condition.AUTHENTICATION_FAILED)


@verb("AUTH", syntax="AUTH mechanism [initial-response]", roles=frozenset({Role.SUBMISSION}), junk=True)
def auth(session: Session, argument: str) -> Dialogue:
    mechanism, _, initial = argument.partition(" ")
    if not mechanism:
        yield from session.problem(reply.SYNTAX)
    elif session.login is not None:
        yield from session.problem(reply.reply(503, "5.5.1", "already logged in"))
    elif session.envelope is not None:
        yield from session.problem(reply.reply(503, "5.5.1", "not during a mail transaction"))
    elif not session.may_login:
        yield from session.problem(reply.reply(538, "5.7.11", "encryption required, say STARTTLS first"))
    else:
        steps = start(mechanism)
        if steps is None:
            known = " ".join(MECHANISMS)
            yield from session.problem(reply.reply(504, "5.5.4", f"mechanism not known, there is {known}"))
            return
        session.exchange = partial(_respond, session, steps)
        if initial:
            yield from _respond(session, steps, initial.strip().encode("utf-8"))
        else:
            yield reply.reply(334, "", encode(steps.challenge))


def _respond(session: Session, steps: Steps, line: bytes) -> Dialogue:
    if line == b"*":
        session.exchange = None
        yield reply.reply(501, "5.7.0", "authentication cancelled")
        return
    try:
        steps.respond(decode(line))
    except SaslProblem as problem:
        session.exchange = None
        yield from session.problem(reply.reply(501, "5.5.2", str(problem)))
        return
    credentials = steps.credentials
    if credentials is None:
        yield reply.reply(334, "", encode(steps.challenge))
        return
    session.exchange = None
    if not credentials.password or credentials.authorization:
        # an empty password is an anonymous bind (RFC 4513 5.1.2); nobody acts as somebody else
        yield from _failed(session, FAILED)
        return
    try:
        session.login = yield Ask(Authenticate(credentials.login, credentials.password))
    except Deferred as error:
        yield reply.reply(454, error.condition.enhanced, error.text)
    except Refused as error:
        yield from _failed(session, reply.error_reply(error))
    else:
        session.framing.max_line = session.settings.max_command_line
        yield reply.reply(235, "2.7.0", "logged in")


def _failed(session: Session, answer: bytes) -> Dialogue:
    session.login_failures += 1
    if session.login_failures >= session.settings.max_login_failures:
        session.closing = True
        answer += reply.TOO_MANY_ERRORS
    yield answer
