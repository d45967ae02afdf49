"""SUBSCRIBE and UNSUBSCRIBE (RFC 9051 6.3.7, 6.3.8). A name stays subscribed when its mailbox is deleted."""

from gateway.ask import Dialogue
from gateway.imap.names import SEPARATOR
from gateway.imap.parser import Parser
from gateway.imap.ports import Subscribe
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import Session


def _change(session: Session, arguments: Parser, *, on: bool) -> Dialogue:
    arguments.space()
    name = session.mailbox_name(arguments.astring().removesuffix(SEPARATOR.encode()))
    arguments.end()
    yield from session.ask(Subscribe(name, on))
    return ""


@command("SUBSCRIBE", states=AUTHENTICATED)
def subscribe(session: Session, arguments: Parser) -> Dialogue:
    return (yield from _change(session, arguments, on=True))


@command("UNSUBSCRIBE", states=AUTHENTICATED)
def unsubscribe(session: Session, arguments: Parser) -> Dialogue:
    return (yield from _change(session, arguments, on=False))
