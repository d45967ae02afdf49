"""APPEND (RFC 9051 6.3.12), answered with APPENDUID (RFC 4315 3); MULTIAPPEND (RFC 3502), CATENATE (RFC 4469),
APPENDLIMIT (RFC 7889). Of several messages all come into the mailbox, or none.
"""

from gateway.imap.appending import MAX_MESSAGES, Arriving, appenduid
from gateway.imap.parser import Parser
from gateway.imap.ports import FinishAppend
from gateway.imap.quota import OVER_SOFT
from gateway.imap.registry import AUTHENTICATED, Interactive, announce, command
from gateway.imap.session import Session
from gateway.imap.sets import set_of

announce("APPENDLIMIT", lambda phase: str(phase.append_limit))


@command("APPEND", states=AUTHENTICATED, capability="MULTIAPPEND CATENATE", interactive=True)
def append(session: Session, arguments: Parser) -> Interactive:
    arguments.space()
    name = session.mailbox_name(arguments.astring())
    yield from Arriving(session, arguments, name).take(most=MAX_MESSAGES)
    done = yield from session.ask(FinishAppend(name))
    if done.over_soft:
        yield OVER_SOFT
    return appenduid(done, set_of(done.uids)) + " appended"
