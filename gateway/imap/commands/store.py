"""STORE and UID STORE (RFC 9051 6.4.6), with UNCHANGEDSINCE (RFC 7162 3.1.3)."""

from __future__ import annotations

from gateway.ask import Dialogue
from gateway.imap.flags import read_flags
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Mode, StoreFlags
from gateway.imap.registry import SELECTED, command
from gateway.imap.session import Session
from gateway.imap.sets import set_of
from gateway.imap.view import Message

_MODES: tuple[tuple[bytes, Mode], ...] = ((b"+FLAGS", "add"), (b"-FLAGS", "remove"), (b"FLAGS", "replace"))
LINES = 512  # answers put together before they are sent


def _mode(arguments: Parser) -> Mode:
    for word, mode in _MODES:
        if arguments.at(word):
            return mode
    raise BadCommand("FLAGS, +FLAGS or -FLAGS expected")


def _line(session: Session, message: Message, *, by_uid: bool, flags: bool) -> bytes:
    parts = [b"UID %d" % message.uid] if by_uid and not session.uid_only else []
    if flags:
        parts.append(b"FLAGS (" + message.flags + b")")
    if session.condstore:
        parts.append(b"MODSEQ (%d)" % message.modseq)
    head = b"* %d UIDFETCH (" % message.uid if session.uid_only else b"* %d FETCH (" % message.number
    return head + b" ".join(parts) + b")\r\n"


@command("STORE", states=SELECTED, by_uid=True, keeps_numbers=True)
def store(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    arguments.space()
    ranges = arguments.sequence_set()
    arguments.space()
    unchanged_since = None
    if arguments.at(b"(UNCHANGEDSINCE "):
        unchanged_since = arguments.modseq()
        arguments.expect(b") ")
        session.use_condstore()
    mode = _mode(arguments)
    silent = arguments.at(b".SILENT")
    arguments.space()
    letters, keywords = read_flags(arguments)
    arguments.end()
    selected = session.writable()
    view = selected.view
    numbers = view.numbers(ranges, by_uid=by_uid)
    pending = set(view.contents.changed_since(view.told))
    uids = view.uids(numbers)
    stored = yield from session.ask(StoreFlags(uids, mode, letters, keywords, unchanged_since))
    kept_out = set(stored.modified)
    if stored.alone and view.told == stored.before:
        view.told = max(stored.after, stored.before)
    else:  # what others changed before is told, even where this change was to be silent
        view.tell(uid for uid in uids if not silent or (stored.alone and uid not in pending))
    there = view.still_there(numbers)
    if not silent or session.condstore:
        lines = []
        for message in view.messages(there):
            if message.uid in kept_out:
                continue
            if not silent or message.modseq > stored.before:
                lines.append(_line(session, message, by_uid=by_uid or session.qresync, flags=not silent))
                if len(lines) == LINES:
                    yield b"".join(lines)
                    lines.clear()
        yield b"".join(lines)
    if kept_out:
        failed = kept_out if by_uid else {view.number(uid) for uid in kept_out}
        return f"[MODIFIED {set_of(sorted(failed))}] some messages have changed"
    if not by_uid and len(there) < len(numbers):
        return "[EXPUNGEISSUED] some messages are expunged"
    return ""
