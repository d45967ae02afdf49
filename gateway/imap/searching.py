"""From search keys to the messages that match: what SEARCH, SORT and THREAD share."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from gateway.ask import Ask, Dialogue
from gateway.imap.batches import batches
from gateway.imap.content import Clock, FindCandidates, Octets, Pause, ReadFacts, SearchContents
from gateway.imap.contexts import MAX_CONTEXTS, MAX_RESULTS, Context, quoted_tag
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.progress import Progress
from gateway.imap.search_keys import BadCharset, Keys, Needs, Test, codec_of_charset
from gateway.imap.search_return import ALL, Wish
from gateway.imap.session import No, Session
from gateway.imap.view import Message, View

BATCH = 128  # messages of which content is looked at in one go
OCTETS = 1 << 20  # of messages that are looked into in one go, unless it is one message
FACTS_BATCH = 1000  # messages of which the index is asked at once
MANY = 32  # messages to be looked into, from which on it is asked which of them need not be
VIEW_BATCH = 4096  # messages the view decides before others have their turn


def charset_of(arguments: Parser) -> str:
    """The codec of the charset that comes next. Raises No where it is not known (RFC 3501 6.4.4)."""
    try:
        return codec_of_charset(arguments.astring())
    except BadCharset:
        raise No("[BADCHARSET (US-ASCII UTF-8)] this charset is not known") from None


def read_search(
    session: Session, view: View, arguments: Parser, wish: Wish | None, *, needs_charset: bool, numbers: bool = True
) -> tuple[Keys, Test]:
    """The charset and the search keys, up to the end of the command. Raises BadCommand, No.

    Without `numbers` the keys may name messages by UID only (RFC 7377 2.2). Where `wish` has the results kept, `$` stands for nothing from then on, until there are some: it is what a search
    that fails leaves, while one that is wrong changes nothing (RFC 5182 2.1).
    """
    is_kept = wish is not None and wish.is_kept
    codec = "utf-8"
    if needs_charset or arguments.at(b"CHARSET "):
        try:
            codec = charset_of(arguments)
        except No:
            view.saved = () if is_kept else view.saved
            raise
        if session.utf8 and not session.rev2 and codec not in ("utf-8", "ascii"):
            raise BadCommand("no CHARSET but UTF-8 after ENABLE UTF8=ACCEPT")  # RFC 9755 3; UTF-8 is no conflict
        arguments.space()
    is_updated = wish is not None and wish.is_updated
    if is_updated and session.selected is not None and session.tag in session.selected.contexts:
        raise BadCommand("a search of this tag is kept up to date")
    keys = Keys(arguments, view, codec, uid_only=session.uid_only, has_numbers=numbers, is_fixed=is_updated)
    test = keys.read()
    if is_kept:
        view.saved = ()
    if keys.needs.modseq:
        session.use_condstore()
    return keys, test


def told(
    session: Session, view: View, name: bytes, wish: Wish | None, keys: Keys, numbers: Sequence[int], *, by_uid: bool
) -> Iterator[bytes]:
    """The answer of SEARCH or SORT, with the MODSEQ of the messages named in it (RFC 7162 3.1.5, RFC 4731 3.2)."""
    if wish is None and session.rev2 and name == b"SEARCH":
        wish = ALL  # RFC 9051 6.4.4: SEARCH is answered by ESEARCH
    named = numbers if wish is None else wish.named(numbers)
    modseq = max((message.modseq for message in view.messages(named)), default=0) if keys.needs.modseq else 0
    shown = view.uids(numbers) if by_uid else numbers
    if wish is not None:
        if wish.is_kept:
            view.saved = sorted(view.uids(wish.kept(numbers)))
        yield from wish.told(session.tag, shown, modseq, by_uid=by_uid)
        return
    said = b" ".join([b"* " + name, *[b"%d" % each for each in shown]])
    yield said + (b" (MODSEQ %d)\r\n" % modseq if modseq else b"\r\n")


def keep_up(session: Session, context: Context) -> Iterator[bytes]:
    """Tell from now on how the results change; or why not (RFC 5267 4.3.1)."""
    assert session.selected is not None
    contexts, reason = session.selected.contexts, ""
    if context.keys.needs.clock:
        reason = "what time alone changes is not told"
    elif len(context.results) > MAX_RESULTS:
        reason = f"of more than {MAX_RESULTS} results no changes are told"
    elif len(contexts) >= MAX_CONTEXTS:
        reason = f"at most {MAX_CONTEXTS} searches are kept up to date"
    if reason:
        yield b"* NO [NOUPDATE %b] %b\r\n" % (quoted_tag(context.tag), reason.encode())
    else:
        contexts[context.tag] = context


def _tiers(needs: Needs) -> Iterable[tuple[Octets, bool] | None]:
    """How content is read, less of it first: (octets, parsed); None for what the index knows."""
    if needs.facts:
        yield None
    if needs.envelope:
        yield Octets.NONE, True
    if needs.header:
        yield Octets.HEADER, needs.envelope
    if needs.body:
        yield Octets.ALL, True


def _by_view(view: View, spans: Iterable[Sequence[int]], test: Test) -> Dialogue:
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


def _tested(view: View, keys: Keys, test: Test, batch: Sequence[Message], tier: tuple[Octets, bool] | None) -> Dialogue:
    """{UID: what the test says with so much of the content}."""
    if keys.needs.facts:
        keys.facts = yield Ask(ReadFacts(tuple([message.uid for message in batch]), view.visited))
    if tier is None:
        return {message.uid: test(message, None) for message in batch if message.uid in keys.facts}
    return (yield Ask(SearchContents(tuple(batch), *tier, test, view.visited)))


def find(view: View, keys: Keys, test: Test, progress: Progress) -> Dialogue:
    """The numbers of messages that match, ascending. Those that vanish meanwhile do not.

    What the view knows decides first, then what is known of texts; of the messages that are left open envelopes are looked at, then headers, then
    texts, a portion at a time.
    """
    if keys.needs.clock:
        keys.now = yield Ask(Clock())
    spans = [range(1, view.count + 1)] if keys.within is None else keys.within
    found, undecided = yield from _by_view(view, spans, test)
    is_sorted = True
    if keys.texts and len(undecided) >= MANY:
        keys.candidates = yield Ask(FindCandidates(tuple(keys.texts), len(undecided), view.visited))
        more, undecided = yield from _by_view(view, (undecided,), test)
        is_sorted = not more
        found.extend(more)
    for tier in _tiers(keys.needs):
        left = array("I")
        most, octets = (FACTS_BATCH, 0) if tier is None else (BATCH, OCTETS if tier[0] is Octets.ALL else 0)
        for batch in batches(view.messages(undecided), most, octets):
            yield from progress.looked_at(len(batch))
            answers = yield from _tested(view, keys, test, batch, tier)
            for message in batch:
                answer = answers.get(message.uid, False)
                if answer:
                    is_sorted = is_sorted and (not found or found[-1] < message.number)
                    found.append(message.number)
                elif answer is None:
                    left.append(message.number)
        undecided = left
    return found if is_sorted else array("I", sorted(found))


def collect(
    view: View,
    numbers: Sequence[int],
    octets: Octets,
    look: Callable[[Message, Any], Any],
    progress: Progress | None = None,
) -> Dialogue:
    """{UID: what `look` finds in a message with its content}; of messages that are gone nothing."""
    found: dict[int, Any] = {}

    def test(message: Message, subject: object) -> bool:
        found[message.uid] = look(message, subject)
        return True

    for batch in batches(view.messages(numbers), BATCH, OCTETS if octets is Octets.ALL else 0):
        if progress is not None:
            yield from progress.looked_at(len(batch))
        yield Ask(SearchContents(tuple(batch), octets, True, test))
    return found


def within_limit(session: Session, found: Sequence[int]) -> None:
    """Raises No where more messages would be put in order than `imap.max_sorted`."""
    if len(found) > session.settings.max_sorted:
        raise No(
            f"[LIMIT] {len(found)} messages are more than {session.settings.max_sorted}, which can be put in order"
        )
