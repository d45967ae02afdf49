"""CANCELUPDATE (RFC 5267 4.3.5): a search is not kept up to date any more."""

from gateway.ask import Dialogue
from gateway.imap.parser import Parser
from gateway.imap.registry import SELECTED, announce, command
from gateway.imap.session import No, Session

announce("CONTEXT=SEARCH")
announce("CONTEXT=SORT")


@command("CANCELUPDATE", states=SELECTED)
def cancelupdate(session: Session, arguments: Parser) -> Dialogue:
    assert session.selected is not None
    contexts = session.selected.contexts
    tags: list[bytes] = []
    while not tags or not arguments.at_end():
        arguments.space()
        tags.append(arguments.string())
    if not contexts.keys() >= set(tags):
        raise No("no search of such a tag is kept up to date")
    for tag in tags:
        contexts.pop(tag, None)
    yield from ()
    return ""
