"""FETCH and UID FETCH of UID, FLAGS, RFC822.SIZE and the whole body (RFC 9051 6.4.5)."""

from collections.abc import Iterator

from gateway.ask import Ask, Dialogue
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.ports import Body, Message
from gateway.imap.registry import State, command
from gateway.imap.session import Session

ITEMS = (b"UID", b"FLAGS", b"RFC822.SIZE", b"BODY.PEEK[]", b"BODY[]", b"RFC822")


def _items(arguments: Parser) -> list[bytes]:
    several = arguments.at(b"(")
    items = []
    while True:
        item = next((known for known in ITEMS if arguments.at(known)), None)
        if item is None:
            raise BadCommand("unknown FETCH item")
        items.append(item)
        if not several or not arguments.at(b" "):
            break
    if several:
        arguments.expect(b")")
    arguments.end()
    return items


def _chosen(
    messages: list[Message], ranges: tuple[tuple[int, int], ...], *, by_uid: bool
) -> Iterator[tuple[int, Message]]:
    top = (messages[-1].uid if by_uid else len(messages)) if messages else 0
    spans = [tuple(sorted((low or top, high or top))) for low, high in ranges]
    for number, message in enumerate(messages, 1):
        key = message.uid if by_uid else number
        if any(low <= key <= high for low, high in spans):
            yield number, message


def _fetch(session: Session, arguments: Parser, *, by_uid: bool) -> Dialogue:
    arguments.space()
    ranges = arguments.sequence_set()
    arguments.space()
    items = _items(arguments)
    if by_uid and b"UID" not in items:
        items.insert(0, b"UID")
    assert session.selected is not None
    for number, message in _chosen(session.selected.messages, ranges, by_uid=by_uid):
        parts: list[bytes] = []
        for item in items:
            if item == b"UID":
                parts.append(b"UID %d" % message.uid)
            elif item == b"FLAGS":
                parts.append(b"FLAGS (" + " ".join(message.flags).encode() + b")")
            elif item == b"RFC822.SIZE":
                parts.append(b"RFC822.SIZE %d" % message.size)
            else:
                stored = yield Ask(Body(message.uid))
                if stored is None:
                    continue
                body = stored.replace(b"\n", b"\r\n")
                name = b"RFC822" if item == b"RFC822" else b"BODY[]"
                parts.append(name + b" {%d}\r\n" % len(body) + body)
        yield b"* %d FETCH (" % number + b" ".join(parts) + b")\r\n"
    return ""


@command("FETCH", states=frozenset({State.SELECTED}))
def fetch(session: Session, arguments: Parser) -> Dialogue:
    return (yield from _fetch(session, arguments, by_uid=False))


@command("UID", states=frozenset({State.SELECTED}))
def uid(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    arguments.expect(b"FETCH")
    return (yield from _fetch(session, arguments, by_uid=True))
