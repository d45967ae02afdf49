"""The items of FETCH as typed values (RFC 3501 6.4.5, RFC 7162 3.1.5)."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import TypeAlias

from gateway.imap.content import Octets
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.search_return import Part, read_part
from gateway.mime import Section, What

MAX_ITEMS = 64
MAX_NAMES = 1000  # header fields in one item; mail programs ask for about 30
MAX_DEPTH = 100  # numbers in one part's path; more than the scanner's nesting find nothing


class Plain(enum.Enum):
    """Items that the view of the mailbox answers."""

    UID = b"UID"
    FLAGS = b"FLAGS"
    INTERNALDATE = b"INTERNALDATE"
    SIZE = b"RFC822.SIZE"
    MODSEQ = b"MODSEQ"


class Structure(enum.Enum):
    """Items that the MIME scanner answers."""

    ENVELOPE = b"ENVELOPE"
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    BODY = b"BODY"


class Kept(enum.Enum):
    """Items that the index answers (RFC 8474 5, RFC 8514 4.1)."""

    EMAILID = b"EMAILID"
    THREADID = b"THREADID"
    SAVEDATE = b"SAVEDATE"


@dataclass(frozen=True, slots=True)
class Preview:
    """The first words (RFC 8970); `lazy` asks for them only where they cost nothing, which here is everywhere."""

    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """An item of octets. `label` is its name in the answer; `span` is (first octet, number of octets)."""

    label: bytes
    section: Section
    peek: bool
    span: tuple[int, int] | None = None

    @property
    def octets(self) -> Octets:
        return Octets.HEADER if self.section.in_header else Octets.ALL


@dataclass(frozen=True, slots=True)
class Binary:
    """An item of a part without its transfer encoding (RFC 3516 4.2). `span` is (first octet, number of octets) of what is decoded."""

    label: bytes
    path: tuple[int, ...]
    peek: bool
    span: tuple[int, int] | None = None
    is_size: bool = False

    @property
    def octets(self) -> Octets:
        return Octets.ALL


Item: TypeAlias = Plain | Kept | Structure | Preview | Body | Binary

_FAST = (Plain.FLAGS, Plain.INTERNALDATE, Plain.SIZE)
_ALL = (*_FAST, Structure.ENVELOPE)
_MACROS: dict[bytes, tuple[Item, ...]] = {b"ALL": _ALL, b"FAST": _FAST, b"FULL": (*_ALL, Structure.BODY)}
_HEADER, _TEXT = Section(what=What.HEADER), Section(what=What.TEXT)
_NAMED: dict[bytes, Item] = {
    **{item.value: item for item in Plain},
    **{item.value: item for item in Kept},
    Structure.ENVELOPE.value: Structure.ENVELOPE,
    Structure.BODYSTRUCTURE.value: Structure.BODYSTRUCTURE,
    b"RFC822": Body(b"RFC822", Section(), peek=False),
    b"RFC822.HEADER": Body(b"RFC822.HEADER", _HEADER, peek=True),
    b"RFC822.TEXT": Body(b"RFC822.TEXT", _TEXT, peek=False),
}
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+\Z')


def parse_items(arguments: Parser) -> list[Item]:
    """One item, a list of them or a macro. Raises BadCommand."""
    for name, items in _MACROS.items():
        if arguments.at_word(name):
            return list(items)
    if not arguments.at(b"("):
        return [_item(arguments)]
    found = [_item(arguments)]
    while not arguments.at(b")"):
        arguments.space()
        found.append(_item(arguments))
        if len(found) > MAX_ITEMS:
            raise BadCommand("too many FETCH items")
    return list(dict.fromkeys(found))


@dataclass(slots=True)
class Modifiers:
    """What stands in parentheses behind the items of FETCH (RFC 4466 2.4)."""

    #: CHANGEDSINCE (RFC 7162 3.1.4.1)
    since: int | None = None
    #: VANISHED (RFC 7162 3.2.6)
    vanished: bool = False
    #: PARTIAL (RFC 9394 3.3)
    part: Part | None = None


def parse_modifiers(arguments: Parser, *, by_uid: bool) -> Modifiers:
    """The modifiers, if there are any. Raises BadCommand."""
    found = Modifiers()
    if arguments.at_end():
        return found
    arguments.space()
    arguments.expect(b"(")
    while found == Modifiers() or not arguments.at(b")"):
        if found != Modifiers():
            arguments.space()
        name = arguments.atom().upper()
        if name == b"CHANGEDSINCE" and found.since is None:
            arguments.space()
            found.since = arguments.modseq()
        elif name == b"PARTIAL" and by_uid and found.part is None:
            arguments.space()
            found.part = read_part(arguments)
        elif name == b"VANISHED" and by_uid and not found.vanished:
            found.vanished = True
        else:
            raise BadCommand("unknown FETCH modifier")
    if found.vanished and found.since is None:
        raise BadCommand("VANISHED needs CHANGEDSINCE")
    return found


def _item(arguments: Parser) -> Item:
    for prefix, peek in ((b"BODY.PEEK[", True), (b"BODY[", False)):
        if arguments.at(prefix):
            return _body(arguments, peek=peek)
    for prefix, peek in ((b"BINARY.PEEK[", True), (b"BINARY[", False)):
        if arguments.at(prefix):
            return _binary(arguments, peek=peek)
    if arguments.at(b"BINARY.SIZE["):
        path, text = _path(arguments)
        arguments.expect(b"]")
        return Binary(b"BINARY.SIZE[%b]" % text, path, peek=True, is_size=True)
    if arguments.at_word(b"PREVIEW"):
        return Preview(arguments.at(b" (LAZY)"))
    if arguments.at_word(b"BODY"):
        return Structure.BODY
    item = _NAMED.get(arguments.atom().upper())
    if item is None:
        raise BadCommand("unknown FETCH item")
    return item


def _body(arguments: Parser, *, peek: bool) -> Body:
    section, text = read_section(arguments)
    arguments.expect(b"]")
    label = b"BODY[%b]" % text
    span = _span(arguments)
    return Body(label if span is None else b"%b<%d>" % (label, span[0]), section, peek, span)


def _span(arguments: Parser) -> tuple[int, int] | None:
    """`<first octet.number of octets>`, if it comes next."""
    if not arguments.at(b"<"):
        return None
    start = arguments.number()
    arguments.expect(b".")
    length = arguments.number()
    arguments.expect(b">")
    if not length:
        raise BadCommand("a part of no octets")
    return start, length


def _path(arguments: Parser) -> tuple[tuple[int, ...], bytes]:
    """The numbers of a part, and their text in the answer."""
    section, text = read_section(arguments) if not arguments.ahead(b"]") else (Section(), b"")
    if section.what is not What.ALL:
        raise BadCommand("the number of a part expected")
    return section.path, text


def _binary(arguments: Parser, *, peek: bool) -> Binary:
    path, text = _path(arguments)
    arguments.expect(b"]")
    label = b"BINARY[%b]" % text
    span = _span(arguments)
    return Binary(label if span is None else b"%b<%d>" % (label, span[0]), path, peek, span)


def read_section(arguments: Parser) -> tuple[Section, bytes]:
    """The section before `]`, and its text in the answer. Raises BadCommand."""
    path: list[int] = []
    text = b""
    while arguments.at_digit():
        number = arguments.number()
        if not number or len(path) >= MAX_DEPTH:
            raise BadCommand("no such number of a part")
        path.append(number)
        text = b".".join([b"%d" % each for each in path])
        if not arguments.at(b"."):
            return Section(tuple(path)), text
    begin = text + b"." if path else b""
    if not path and arguments.ahead(b"]"):
        return Section(), b""
    if arguments.at(b"HEADER.FIELDS.NOT "):
        return _fields(arguments, path, begin + b"HEADER.FIELDS.NOT ", invert=True)
    if arguments.at(b"HEADER.FIELDS "):
        return _fields(arguments, path, begin + b"HEADER.FIELDS ", invert=False)
    for what in (What.HEADER, What.TEXT):
        if arguments.at_word(what.value.encode()):
            return Section(tuple(path), what), begin + what.value.encode()
    if path and arguments.at_word(b"MIME"):
        return Section(tuple(path), What.MIME), begin + b"MIME"
    raise BadCommand("unknown section")


def _fields(arguments: Parser, path: list[int], begin: bytes, *, invert: bool) -> tuple[Section, bytes]:
    arguments.expect(b"(")
    names = [_name(arguments)]
    while not arguments.at(b")"):
        arguments.space()
        names.append(_name(arguments))
        if len(names) > MAX_NAMES:
            raise BadCommand("too many header fields")
    shown = b" ".join([name if _ATOM.match(name) else b'"%b"' % name for name in names])
    wanted = frozenset(name.lower() for name in names)
    return Section(tuple(path), What.FIELDS, wanted, invert), b"%b(%b)" % (begin, shown)


def _name(arguments: Parser) -> bytes:
    """A header field's name: what RFC 5322 3.6.8 allows, so that it can be shown again."""
    name = arguments.astring()
    if not name or any(octet <= 0x20 or octet >= 0x7F or octet in b':"\\' for octet in name):
        raise BadCommand("that is no name of a header field")
    return name
