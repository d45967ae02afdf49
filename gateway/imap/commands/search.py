"""SEARCH and UID SEARCH (RFC 3501 6.4.4, 6.4.8), ESEARCH (RFC 4731), WITHIN (RFC 5032), MODSEQ (RFC 7162 3.1.5).

What the view knows decides first; of the messages that are left open envelopes are looked at, then
headers, then texts, a portion at a time.
"""

from array import array
from collections.abc import Iterable, Sequence

from gateway.ask import Ask, Dialogue
from gateway.imap.batches import batches
from gateway.imap.content import Clock, Octets, Pause, SearchContents
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.registry import SELECTED, announce, command
from gateway.imap.search_keys import BadCharset, Keys, Needs, Test, codec_of_charset
from gateway.imap.session import No, Session
from gateway.imap.sets import set_of
from gateway.imap.view import View

BATCH = 128  # messages of which content is looked at in one go
OCTETS = 1 << 20  # of messages that are looked into in one go, unless it is one message
VIEW_BATCH = 4096  # messages the view decides before others have their turn
_RETURN = (b"MIN", b"MAX", b"ALL", b"COUNT")

announce("ESEARCH")
announce("WITHIN")


def _return_options(arguments: Parser) -> frozenset[bytes] | None:
    """What RETURN asks for, None without it (RFC 4731 3.1)."""
    if not arguments.at(b"RETURN ("):
        return None
    options: set[bytes] = set()
    while not arguments.at(b")"):
        if options:
            arguments.space()
        option = arguments.atom().upper()
        if option not in _RETURN:
            raise BadCommand("unknown search result option")
        options.add(option)
    arguments.space()
    return frozenset(options or (b"ALL",))


def _codec(arguments: Parser) -> str | None:
    if not arguments.at(b"CHARSET "):
        return None
    codec = codec_of_charset(arguments.astring())
    arguments.space()
    return codec


def _tiers(needs: Needs) -> Iterable[tuple[Octets, bool]]:
    """How content is read, less of it first: (octets, parsed)."""
    if needs.envelope:
        yield Octets.NONE, True
    if needs.header:
        yield Octets.HEADER, needs.envelope
    if needs.body:
        yield Octets.ALL, True


def _by_view(view: View, spans: Iterable[range], test: Test) -> Dialogue:
    """Numbers of messages that match, and of messages that are not decided."""
    found, undecided = array("I"), array("I")
    looked_at = 0
    for span in spans:
        for start in range(0, len(span), VIEW_BATCH):
            part = span[start : start + VIEW_BATCH]
            looked_at += len(part)
            if looked_at > VIEW_BATCH:
                looked_at = 0
                yield Ask(Pause())
            for message in view.messages(part):
                answer = test(message, None)
                if answer:
                    found.append(message.number)
                elif answer is None:
                    undecided.append(message.number)
    return found, undecided


def _search(view: View, keys: Keys, test: Test) -> Dialogue:
    """The numbers of messages that match, ascending. Those that vanish meanwhile do not."""
    if keys.needs.clock:
        keys.now = yield Ask(Clock())
    spans = [range(1, view.count + 1)] if keys.within is None else keys.within
    found, undecided = yield from _by_view(view, spans, test)
    is_sorted = True
    for octets, parsed in _tiers(keys.needs):
        left = array("I")
        for batch in batches(view.messages(undecided), BATCH, OCTETS if octets is Octets.ALL else 0):
            answers = yield Ask(SearchContents(tuple(batch), octets, parsed, test))
            for message in batch:
                answer = answers.get(message.uid, False)
                if answer:
                    is_sorted = is_sorted and (not found or found[-1] < message.number)
                    found.append(message.number)
                elif answer is None:
                    left.append(message.number)
        undecided = left
    return found if is_sorted else array("I", sorted(found))


def _extended(tag: bytes, options: frozenset[bytes], keys: Sequence[int], *, by_uid: bool) -> bytes:
    """Which of the results to name, and how (RFC 4731 3.1)."""
    said = [b'* ESEARCH (TAG "%b")' % tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')]
    if by_uid:
        said.append(b"UID")
    if keys and b"MIN" in options:
        said.append(b"MIN %d" % keys[0])
    if keys and b"MAX" in options:
        said.append(b"MAX %d" % keys[-1])
    if keys and b"ALL" in options:
        said.append(b"ALL " + set_of(keys).encode())
    if b"COUNT" in options:
        said.append(b"COUNT %d" % len(keys))
    return b" ".join(said)


def _modseq(view: View, options: frozenset[bytes] | None, found: Sequence[int]) -> int:
    """The MODSEQ of the answer: of the messages that are named in it (RFC 7162 3.1.5, RFC 4731 3.2)."""
    named = found
    if options is not None and b"ALL" not in options and b"COUNT" not in options:
        named = [*found[:1]] * (b"MIN" in options) + [*found[-1:]] * (b"MAX" in options)
    return max((message.modseq for message in view.messages(named)), default=0)


@command("SEARCH", states=SELECTED, by_uid=True, keeps_numbers=True)
def search(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    assert session.selected is not None
    view = session.selected.view
    arguments.space()
    options = _return_options(arguments)
    try:
        codec = _codec(arguments)
    except BadCharset:
        raise No("[BADCHARSET (US-ASCII UTF-8)] this charset is not known") from None
    keys = Keys(arguments, view, codec or "utf-8")
    test = keys.read()
    if keys.needs.modseq:
        session.condstore = True
    found = yield from _search(view, keys, test)
    modseq = _modseq(view, options, found) if keys.needs.modseq else 0
    shown = view.uids(found) if by_uid else found
    if options is None:
        said = b" ".join([b"* SEARCH", *[b"%d" % each for each in shown]])
        yield said + (b" (MODSEQ %d)\r\n" % modseq if modseq else b"\r\n")
    else:
        said = _extended(session.tag, options, shown, by_uid=by_uid)
        yield said + (b" MODSEQ %d\r\n" % modseq if modseq else b"\r\n")
    return ""
