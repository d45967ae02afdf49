"""GETMETADATA and SETMETADATA (RFC 5464)."""

from gateway.ask import Ask, Dialogue
from gateway.imap.metadata import (
    MAX_NAMES,
    MAX_VALUE,
    PRIVATE,
    SERVER,
    SHARED,
    Annotate,
    Annotations,
    entry_name,
    metadata_line,
    read_entries,
    selected,
)
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import No, Session

_DEPTHS: dict[bytes, int | None] = {b"0": 0, b"1": 1, b"INFINITY": None}


def _mailbox(session: Session, arguments: Parser) -> str:
    octets = arguments.astring()
    return session.mailbox_name(octets) if octets else SERVER


def _options(arguments: Parser) -> tuple[int | None, int | None] | None:
    """(greatest value wanted, depth), None when there are no options here."""
    if not (arguments.ahead(b"(MAXSIZE ") or arguments.ahead(b"(DEPTH ")):
        return None
    arguments.expect(b"(")
    largest, depth = None, 0  # type: int | None, int | None
    while True:
        if arguments.at(b"MAXSIZE "):
            largest = arguments.number()
        else:
            arguments.expect(b"DEPTH ")
            word = arguments.atom().upper()
            if word not in _DEPTHS:
                raise BadCommand("DEPTH is 0, 1 or infinity")
            depth = _DEPTHS[word]
        if arguments.at(b")"):
            return largest, depth
        arguments.space()


@command("GETMETADATA", states=AUTHENTICATED, capability="METADATA")
def get_metadata(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    options = _options(arguments)  # here by the grammar of RFC 5464 5, in its examples behind the mailbox
    if options is not None:
        arguments.space()
    name = _mailbox(session, arguments)
    arguments.space()
    if options is None and (options := _options(arguments)) is not None:
        arguments.space()
    entries = read_entries(arguments)
    arguments.end()
    largest, depth = options or (None, 0)
    known = yield Ask(Annotations((name,)))
    if name not in known:
        raise No("[NONEXISTENT] no such mailbox")
    values = selected(known[name], entries, depth)
    sizes = [len(value) for value in values.values() if value is not None]
    if largest is not None:
        values = {entry: value for entry, value in values.items() if value is None or len(value) <= largest}
    yield metadata_line(session.quoted(name), values)
    longest = max(sizes, default=0)
    return f"[METADATA LONGENTRIES {longest}] some are longer" if largest is not None and longest > largest else ""


@command("SETMETADATA", states=AUTHENTICATED)
def set_metadata(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    name = _mailbox(session, arguments)
    arguments.expect(b" (")
    values: dict[str, bytes | None] = {}
    while True:
        entry = entry_name(arguments.astring())
        if not entry.startswith((PRIVATE, SHARED)):
            raise BadCommand("an entry has a name behind /private/ or /shared/")
        arguments.space()
        values[entry] = None if arguments.at_word(b"NIL") else arguments.string()
        if len(values) > MAX_NAMES:
            raise No("[METADATA TOOMANY] too many entries at once")
        if arguments.at(b")"):
            break
        arguments.space()
    arguments.end()
    if any(value is not None and len(value) > MAX_VALUE for value in values.values()):
        raise No(f"[METADATA MAXSIZE {MAX_VALUE}] a value is longer")
    yield from session.ask(Annotate(name, values))
    return ""
