"""REPLACE and UID REPLACE (RFC 8508): a message takes the place of another, which is expunged when the new one is on
disk, and not before.
"""

from gateway.imap.appending import Arriving, appenduid
from gateway.imap.parser import Parser
from gateway.imap.ports import FinishAppend
from gateway.imap.quota import OVER_SOFT
from gateway.imap.registry import SELECTED, Interactive, command
from gateway.imap.session import No, Session
from gateway.imap.sets import set_of


@command("REPLACE", states=SELECTED, capability="REPLACE", by_uid=True, interactive=True)
def replace(session: Session, arguments: Parser, *, by_uid: bool) -> Interactive:
    arguments.space()
    number = arguments.number()
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    view = session.writable().view
    replaced = view.uids(view.numbers(((number, number),), by_uid=by_uid)) if number else []
    if not replaced:
        raise No("[NONEXISTENT] there is no message to replace")
    yield from Arriving(session, arguments, name, replaces=replaced[0]).take(most=1)
    done = yield from session.ask(FinishAppend(name, replaced[0]))
    if done.over_soft:
        yield OVER_SOFT
    yield f"* OK {appenduid(done, set_of(done.uids))} the replacement\r\n".encode()
    return (yield from session.expunged())
