"""LOGIN (RFC 9051 6.2.3)."""

from gateway.ask import Ask, Dialogue
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Authenticate, WhoIs
from gateway.imap.registry import State, command
from gateway.imap.session import No, Session


def enter(session: Session, login: str, password: str) -> Dialogue:
    """Prove a login and tell what can be done from now on. Raises Refused, Deferred."""
    found = yield Ask(Authenticate(login, password))
    if any(rule.users or rule.groups for rule in session.settings.without):
        who = yield Ask(WhoIs(found.account))
        session.names, session.groups = who.names, who.groups
        session.switch()
    session.login = found
    session.framing.logged_in = True
    return f"[CAPABILITY {session.capability()}] logged in"


@command("LOGIN", states=frozenset({State.NOT_AUTHENTICATED}))
def login(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = arguments.astring()
    arguments.space()
    password = arguments.astring()
    arguments.end()
    if not session.private:
        raise No("[PRIVACYREQUIRED] encryption needed before LOGIN")
    try:
        credentials = name.decode("utf-8"), password.decode("utf-8")
    except UnicodeDecodeError:
        raise BadCommand("login and password are UTF-8") from None
    return (yield from enter(session, *credentials))
