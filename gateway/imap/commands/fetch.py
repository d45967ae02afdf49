"""FETCH and UID FETCH (RFC 3501 6.4.5, 6.4.8), with MODSEQ and CHANGEDSINCE (RFC 7162 3.1.4).

Messages that vanish while the command runs are left out and make the answer NO [EXPUNGEISSUED]
(RFC 5530 3); the others are answered.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from directory.model import Deferred, Refused
from gateway.ask import Ask, Dialogue
from gateway.imap.batches import batches
from gateway.imap.content import Content, Facts, Octets, Pause, ReadContents, ReadFacts
from gateway.imap.dates import date_time
from gateway.imap.fetch_binary import Measured, measure
from gateway.imap.fetch_binary import value as binary_value
from gateway.imap.fetch_body import body_at_once, stream_body
from gateway.imap.fetch_items import Binary, Body, Item, Kept, Plain, Preview, Structure, parse_items, parse_modifiers
from gateway.imap.flags import SEEN
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import StoreFlags
from gateway.imap.registry import SELECTED, announce, command
from gateway.imap.resync import vanished
from gateway.imap.searching import collect
from gateway.imap.session import No, Session
from gateway.imap.view import Message, View
from gateway.mime.quoting import string
from gateway.mime.transfer import UnknownEncoding

announce("BINARY")
announce("OBJECTID")
announce("PREVIEW")
announce("SAVEDATE")

BATCH = 64  # messages of which content is asked for at once
VIEW_BATCH = 512  # messages answered from the view at once
_SHOWN = {
    Plain.UID: (b"UID %d", "uid"),
    Plain.FLAGS: (b"FLAGS (%b)", "flags"),
    Plain.SIZE: (b"RFC822.SIZE %d", "size"),
    Plain.MODSEQ: (b"MODSEQ (%d)", "modseq"),
    Plain.INTERNALDATE: (b"INTERNALDATE %b", "internaldate"),
}
#: the values of a message for a template
Pick = Callable[[Message], Any]


def _template(items: Sequence[Plain], *, uid_only: bool) -> tuple[bytes, Pick]:
    """`FETCH (` and these items, and how their values are picked, the message number (UID) first."""
    text = b"* %d UIDFETCH (" if uid_only else b"* %d FETCH ("
    text += b" ".join([_SHOWN[item][0] for item in items])
    first = int(uid_only)
    if not items:
        return text, itemgetter(slice(first, first + 1))
    pick = itemgetter(first, *[Message._fields.index(_SHOWN[item][1]) for item in items])
    if Plain.INTERNALDATE not in items:
        return text, pick
    at = 1 + items.index(Plain.INTERNALDATE)

    def pick_shown(message: Message) -> tuple[Any, ...]:
        values = list(pick(message))
        values[at] = date_time(values[at])
        return tuple(values)

    return text, pick_shown


def _structure(item: Structure, content: Content) -> bytes:
    parsed = content.parsed
    assert parsed is not None
    if item is Structure.ENVELOPE:
        return b"ENVELOPE " + parsed.envelope
    if item is Structure.BODYSTRUCTURE:
        return b"BODYSTRUCTURE " + parsed.bodystructure
    return b"BODY " + parsed.body


def _kept(item: Kept, facts: Facts) -> bytes:
    if item is Kept.EMAILID:
        return f"EMAILID ({facts.emailid})".encode()
    if item is Kept.SAVEDATE:
        return b"SAVEDATE " + date_time(facts.savedate)
    return b"THREADID NIL"  # there are no threads beyond those that THREAD makes (RFC 8474 5.2)


class _Fetch:
    """One command: the items that the view answers stand first in each answer, then the others in their order."""

    def __init__(self, session: Session, view: View, items: list[Item], *, read_only: bool) -> None:
        self._session = session
        self._view = view
        self._plain = [item for item in items if isinstance(item, Plain)]
        self._rest = [item for item in items if not isinstance(item, Plain)]
        bodies = [item for item in self._rest if isinstance(item, Body | Binary)]
        self._octets = max((item.octets for item in bodies), default=Octets.NONE)
        contents = [item for item in self._rest if not isinstance(item, Kept)]
        self._has_contents, self._has_kept = bool(contents), len(contents) < len(self._rest)
        self._parsed = any(not isinstance(item, Body) or item.section.path for item in contents)
        self._shown = _template(self._plain, uid_only=session.uid_only)
        # what an answer shows besides when it is this command that set \Seen
        changed = [Plain.FLAGS, Plain.MODSEQ] if session.condstore else [Plain.FLAGS]
        self._shown_changed = _template(list(dict.fromkeys([*self._plain, *changed])), uid_only=session.uid_only)
        self._marks = not read_only and any(not item.peek for item in bodies)
        self._previews: dict[int, str] = {}
        self._facts: dict[int, Facts] = {}
        self._gone = 0
        #: transfer encoding that could not be undone
        self.unknown = ""

    def run(self, numbers: Sequence[int]) -> Dialogue:
        """Answer for these messages. True when all were there."""
        if not self._rest:
            yield from self._from_view(numbers)
            return True
        limit = self._session.settings.piece if self._octets is Octets.ALL else 0
        most = BATCH if self._has_contents else VIEW_BATCH
        for batch in batches(self._view.messages(numbers), most, limit):
            uids = tuple([message.uid for message in batch])
            if self._has_kept:
                self._facts = yield Ask(ReadFacts(uids))
            if self._has_contents:
                contents = yield Ask(ReadContents(uids, self._octets, self._parsed))
            else:
                contents = {uid: Content(0) for uid in self._facts}
            if any(isinstance(item, Preview) for item in self._rest):
                numbers = [message.number for message in batch]
                self._previews = yield from collect(self._view, numbers, Octets.ALL, lambda _, found: found.preview())
            marked: dict[int, Message] = {}
            if self._marks:
                marked = yield from self._mark([message for message in batch if message.uid in contents])
            said: list[bytes] = []
            # what has changed since the batch was taken is told behind it
            self._told([marked.get(message.uid, message) for message in batch])
            for message in batch:
                content = contents.pop(message.uid, None)
                if content is None or (self._has_kept and message.uid not in self._facts):
                    self._gone += 1
                    continue
                shown = self._shown
                if message.uid in marked:
                    message, shown = marked[message.uid], self._shown_changed
                answer = self._at_once(message, content, *shown)
                if answer is not None:
                    said.append(answer)
                    continue
                yield b"".join(said)
                said.clear()
                yield from self._in_pieces(message, content, *shown)
            yield b"".join(said)
        return not self._gone

    def _mark(self, messages: list[Message]) -> Dialogue:
        """Set \\Seen where it is not (RFC 3501 6.4.5): {uid: message as it is now} of those that changed."""
        unseen = [message for message in messages if SEEN not in message.flags]
        if not unseen:
            return {}
        uids = [message.uid for message in unseen]
        try:
            yield Ask(StoreFlags(uids, "add", "S", ""))
        except (Deferred, Refused):
            return {}  # an index that cannot be written to is no reason not to read
        self._view.tell(uids)
        now = self._view.messages([message.number for message in unseen])
        return {message.uid: message for message in now if SEEN in message.flags}

    def _told(self, shown: Iterable[Message]) -> None:
        if Plain.FLAGS in self._plain and self._view.is_pending:
            self._view.tell_shown(shown)

    def _from_view(self, numbers: Sequence[int]) -> Dialogue:
        text, pick = self._shown
        text, view = text + b")\r\n", self._view
        for start in range(0, len(numbers), VIEW_BATCH):
            if start:
                yield Ask(Pause())
            part = numbers[start : start + VIEW_BATCH]
            messages = list(view.messages(part))
            self._told(messages)
            yield b"".join([text % pick(message) for message in messages])

    def _whole(self, item: Item, message: Message, content: Content) -> bytes | None:
        """Name and value of an item where they can be told at once."""
        if isinstance(item, Structure):
            return _structure(item, content)
        if isinstance(item, Kept):
            return _kept(item, self._facts[message.uid])
        if isinstance(item, Preview):
            return b"PREVIEW " + string(self._previews.get(message.uid, "").encode())
        return body_at_once(item, content) if isinstance(item, Body) else None

    def _at_once(self, message: Message, content: Content, text: bytes, pick: Pick) -> bytes | None:
        """The answer for a message of which all that is needed is there, else None."""
        values: list[bytes] = []
        for item in self._rest:
            value = self._whole(item, message, content)
            if value is None:
                return None
            values.append(value)
        between = b"" if text.endswith(b"(") else b" "
        return b"%b%b%b)\r\n" % (text % pick(message), between, b" ".join(values))

    def _in_pieces(self, message: Message, content: Content, text: bytes, pick: Pick) -> Dialogue:
        piece = self._session.settings.piece
        measured: dict[Binary, Measured | None] = {}
        try:
            for item in self._rest:
                if isinstance(item, Binary):
                    measured[item] = yield from measure(item, content, piece)
        except UnknownEncoding as error:
            self.unknown = str(error)
            return
        yield text % pick(message)
        between = not text.endswith(b"(")
        for item in self._rest:
            if between:
                yield b" "
            between = True
            value = self._whole(item, message, content)
            session = self._session
            if value is not None:
                yield value
            elif isinstance(item, Binary):
                yield from binary_value(item, measured[item], content, piece)
            elif isinstance(item, Body):
                session.place = yield from stream_body(item, content, self._view, message.uid, session.place, piece)
        yield b")\r\n"


def tell_messages(session: Session, items: list[Item], numbers: Sequence[int]) -> Dialogue:
    """Untagged answers about messages that nobody asked for now; what cannot be told is left out."""
    if session.selected is not None:
        yield from _Fetch(session, session.selected.view, items, read_only=True).run(numbers)


@command("FETCH", states=SELECTED, by_uid=True, keeps_numbers=True)
def fetch(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    arguments.space()
    ranges = arguments.sequence_set()
    arguments.space()
    items = parse_items(arguments)
    modifiers = parse_modifiers(arguments, by_uid=by_uid)
    since = modifiers.since
    arguments.end()
    if modifiers.vanished and not session.qresync:
        raise BadCommand("ENABLE QRESYNC comes first")
    if by_uid and Plain.UID not in items and not session.uid_only:
        items.insert(0, Plain.UID)
    assert session.selected is not None
    view, read_only = session.selected.view, session.selected.read_only
    numbers = view.numbers(ranges, by_uid=by_uid)
    if modifiers.part is not None:
        numbers = modifiers.part.of(numbers)
    if since is not None:
        if Plain.MODSEQ not in items:
            items.append(Plain.MODSEQ)
        numbers = [message.number for message in view.messages(numbers) if message.modseq > since]
    if Plain.MODSEQ in items:
        session.use_condstore()
    if modifiers.vanished and since is not None:
        yield from vanished(view, since, ranges)
    fetching = _Fetch(session, view, items, read_only=read_only)
    is_whole = yield from fetching.run(numbers)
    if fetching.unknown:
        raise No("[UNKNOWN-CTE] a part has a transfer encoding that nobody knows")
    if not is_whole:
        raise No("[EXPUNGEISSUED] some of the messages are gone")
    return ""
