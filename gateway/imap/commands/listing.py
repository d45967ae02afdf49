"""LIST (RFC 3501 6.3.8) with CHILDREN (RFC 3348), LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819),
LIST-MYRIGHTS (RFC 8440), LIST-METADATA (RFC 9590) and SPECIAL-USE (RFC 6154). Children, special use and, in the
extended form, subscriptions are always told.
"""

from typing import NamedTuple

from gateway.ask import Ask, Dialogue
from gateway.imap.listing import (
    Line,
    ListMailboxes,
    Selection,
    pattern_of,
    rights_line,
    select,
    shown,
    with_children,
)
from gateway.imap.metadata import Annotations, metadata_line, read_entries, selected
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import Session
from gateway.imap.status_items import SIZES, Status, read_status_items, status_line

MAX_PATTERNS = 100
STATUS_BATCH = 50  # mailboxes whose figures are asked for at once
_SELECT = (b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE")
_RETURN = (b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE", b"STATUS", b"MYRIGHTS", b"METADATA")


class _Options(NamedTuple):
    """Options by name, what STATUS asks for, what METADATA asks for."""

    names: set[bytes]
    items: list[bytes]
    entries: list[str]


def _options(arguments: Parser, known: tuple[bytes, ...]) -> _Options:
    """A list of options behind its parenthesis."""
    options: set[bytes] = set()
    items: list[bytes] = []
    entries: list[str] = []
    while not arguments.at(b")"):
        if options:
            arguments.space()
        option = arguments.atom().upper()
        if option not in known:
            raise BadCommand("unknown LIST option")
        options.add(option)
        if option == b"STATUS":
            arguments.space()
            items = read_status_items(arguments)
        elif option == b"METADATA":
            arguments.space()
            entries = read_entries(arguments)
    return _Options(options, items, entries)


def _selection(arguments: Parser) -> Selection:
    if not arguments.at(b"("):
        return Selection()
    options = _options(arguments, _SELECT).names
    arguments.space()
    if b"RECURSIVEMATCH" in options and not options & {b"SUBSCRIBED", b"SPECIAL-USE"}:
        raise BadCommand("RECURSIVEMATCH needs another selection option")
    return Selection(
        extended=True,
        subscribed=b"SUBSCRIBED" in options,
        special_use=b"SPECIAL-USE" in options,
        recursive=b"RECURSIVEMATCH" in options,
    )


def _patterns(arguments: Parser) -> list[bytes]:
    if not arguments.at(b"("):
        return [arguments.pattern()]
    patterns = [arguments.pattern()]
    while not arguments.at(b")"):
        arguments.space()
        patterns.append(arguments.pattern())
        if len(patterns) > MAX_PATTERNS:
            raise BadCommand("too many patterns")
    return patterns


@command(
    "LIST",
    states=AUTHENTICATED,
    capability="CHILDREN LIST-EXTENDED LIST-STATUS LIST-MYRIGHTS LIST-METADATA SPECIAL-USE",
)
def list_mailboxes(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    selection = _selection(arguments)
    reference = arguments.astring()
    arguments.space()
    is_list = arguments.ahead(b"(")
    wanted = _patterns(arguments)
    asked = _Options(set(), [], [])
    extended = selection.extended or is_list
    if arguments.at(b" RETURN ("):
        asked = _options(arguments, _RETURN)
        extended = True
        for is_asked, capability in (
            (bool(asked.items), "LIST-STATUS"),
            (bool(asked.entries), "LIST-METADATA"),
            (b"MYRIGHTS" in asked.names, "LIST-MYRIGHTS"),
        ):
            if is_asked:
                session.require(capability)
    arguments.end()
    if wanted == [b""] and not extended:
        yield b'* LIST (\\Noselect) "/" ""\r\n'
        return ""
    patterns = [pattern_of(reference, each, utf8=session.utf8) for each in wanted if each]
    mailboxes = yield Ask(ListMailboxes())
    below = with_children(mailboxes)
    lines = select(mailboxes, patterns, selection)

    def answer(line: Line) -> bytes:
        name = session.quoted(line.listed.name)
        rights = rights_line(name, line.listed) if b"MYRIGHTS" in asked.names else b""
        return shown(b"LIST", name, line, extended=extended, below=below) + rights

    if not (asked.items or asked.entries):
        yield b"".join(map(answer, lines))
        return ""
    if b"HIGHESTMODSEQ" in asked.items:
        session.use_condstore()
    for start in range(0, len(lines), STATUS_BATCH):
        part: list[Line] = lines[start : start + STATUS_BATCH]
        names = tuple([line.listed.name for line in part if line.listed.exists and line.listed.selectable])
        figures = (yield Ask(Status(names, not SIZES.isdisjoint(asked.items)))) if asked.items else {}
        annotations = (yield Ask(Annotations(names))) if asked.entries else {}
        said = []
        for line in part:
            name = line.listed.name
            said.append(answer(line))
            if name in figures:
                said.append(status_line(session.quoted(name), asked.items, figures[name]))
            if name in annotations:
                said.append(metadata_line(session.quoted(name), selected(annotations[name], asked.entries)))
        yield b"".join(said)
    return ""
