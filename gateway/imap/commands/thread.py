"""THREAD and UID THREAD (RFC 5256 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.ask import Ask, Dialogue
from gateway.imap import threads
from gateway.imap.base_subject import base_subject
from gateway.imap.content import Compute, Octets
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.progress import Progress
from gateway.imap.registry import SELECTED, announce, command
from gateway.imap.search_subject import Subject, folded
from gateway.imap.searching import collect, find, read_search, within_limit
from gateway.imap.session import Session
from gateway.imap.sort_keys import sent_at
from gateway.imap.threads import Node, Threaded
from gateway.imap.view import Message
from gateway.mime.encoded import decode_header_text
from gateway.mime.envelope_fields import IN_REPLY_TO, MESSAGE_ID, SUBJECT

_ALGORITHMS: dict[bytes, Callable[[Sequence[Threaded]], list[Node]]] = {
    b"REFERENCES": threads.by_references,
    b"REFS": threads.by_refs,
    b"ORDEREDSUBJECT": threads.by_subject,
}
for _name in _ALGORITHMS:
    announce(f"THREAD={_name.decode()}")


def _threaded(message: Message, subject: Subject) -> Threaded:
    text, is_reply = base_subject(decode_header_text(subject.field(SUBJECT)))
    return Threaded(
        message.uid,
        sent_at(message, subject),
        message.internaldate,
        folded(text),
        is_reply,
        threads.message_id(subject.field(MESSAGE_ID)),
        threads.references_of(subject.references, subject.field(IN_REPLY_TO)),
    )


@command("THREAD", states=SELECTED, by_uid=True, keeps_numbers=True)
def thread(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    assert session.selected is not None
    view = session.selected.view
    arguments.space()
    name = arguments.atom().upper()
    algorithm = _ALGORITHMS.get(name)
    if algorithm is None:
        raise BadCommand("unknown threading algorithm")
    arguments.space()
    keys, test = read_search(session, view, arguments, None, needs_charset=True)
    progress = Progress(session.tag)
    found = yield from find(view, keys, test, progress)
    within_limit(session, found)
    values: dict[int, Threaded] = yield from collect(view, found, Octets.NONE, _threaded, progress)
    known = [(number, values[view.uid(number)]) for number in found if view.uid(number) in values]
    if not by_uid:
        for number, each in known:
            each.number = number
    said = yield Ask(Compute(lambda: threads.shown(algorithm([each for _, each in known]))))
    yield b"* THREAD" + (b" " + said if said else b"") + b"\r\n"
    return ""
