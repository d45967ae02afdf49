"""LOGIN (RFC 9051 6.2.3)."""

from gateway.ask import Ask, Dialogue
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Authenticate
from gateway.imap.registry import State, command
from gateway.imap.session import No, Session


@command("LOGIN", states=frozenset({State.NOT_AUTHENTICATED}))
def login(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = arguments.astring()
    arguments.space()
    password = arguments.astring()
    arguments.end()
    if not (session.tls or session.plaintext_auth):
        raise No("[PRIVACYREQUIRED] encryption needed before LOGIN")
    try:
        request = Authenticate(name.decode("utf-8"), password.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadCommand("login and password are UTF-8") from None
    session.login = yield Ask(request)
    session.framing.logged_in = True
    return f"[CAPABILITY {session.capability()}] logged in"
