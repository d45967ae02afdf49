"""What a client that knows an old state is told of a mailbox: QRESYNC (RFC 7162 3.2.5)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.ask import Ask, Dialogue
from gateway.imap.content import Pause
from gateway.imap.parser import BadCommand, Parser, Ranges
from gateway.imap.ports import Expunged
from gateway.imap.vanished import earlier
from gateway.imap.view import View

PART = 2048  # messages that are looked at before others have their turn


@dataclass(frozen=True, slots=True)
class Known:
    """What the client knows of the mailbox; `uids` None: everything below UIDNEXT."""

    uidvalidity: int
    modseq: int
    uids: Ranges | None = None


def read_known(arguments: Parser, *, uid_only: bool) -> Known:
    """The parameter of QRESYNC in SELECT. Raises BadCommand."""
    arguments.expect(b"(")
    uidvalidity = arguments.number()
    arguments.space()
    modseq = arguments.modseq()
    if not uidvalidity or not modseq:
        raise BadCommand("0 is neither UIDVALIDITY nor MODSEQ")
    uids = None
    while arguments.at(b" "):
        if arguments.at(b"("):
            if uid_only:
                raise BadCommand("[UIDREQUIRED] message numbers are not used after ENABLE UIDONLY")
            # the client offers pairs of numbers and UIDs, which would help a server that forgets what it expunged
            arguments.sequence_set()
            arguments.space()
            arguments.sequence_set()
            arguments.expect(b")")
            break
        if uids is not None:
            raise BadCommand("'(' expected")
        uids = arguments.sequence_set()
    arguments.expect(b")")
    return Known(uidvalidity, modseq, uids)


def vanished(view: View, since: int, uids: Ranges | None) -> Dialogue:
    """VANISHED (EARLIER) for what was expunged after the MODSEQ `since`."""
    expunged = yield Ask(Expunged(since))
    yield from earlier(view, expunged, uids)


def resynchronized(view: View, known: Known, *, uid_only: bool) -> Dialogue:
    """What has changed since; nothing when the UIDs mean something else now."""
    if known.uidvalidity != view.contents.uidvalidity:
        return
    yield from vanished(view, known.modseq, known.uids)
    numbers = range(1, view.count + 1) if known.uids is None else view.numbers(known.uids, by_uid=True)
    for start in range(0, len(numbers), PART):
        if start:
            yield Ask(Pause())
        text = b"".join(
            b"%bFLAGS (%b) MODSEQ (%d))\r\n"
            % (
                b"* %d UIDFETCH (" % message.uid
                if uid_only
                else b"* %d FETCH (UID %d " % (message.number, message.uid),
                message.flags,
                message.modseq,
            )
            for message in view.messages(numbers[start : start + PART])
            if message.modseq > known.modseq
        )
        if text:
            yield text
