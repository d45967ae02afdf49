"""NOTIFY (RFC 5465): changes in mailboxes that are not selected are told when they happen, as STATUS and LIST."""

from collections.abc import Sequence
from functools import partial

from gateway.ask import Ask, Dialogue
from gateway.imap.commands.fetch import tell_messages
from gateway.imap.fetch_items import Item, parse_items
from gateway.imap.notifying import (
    EVENTS,
    EXPUNGED,
    FLAGS,
    MAX_GROUPS,
    MAX_NAMES,
    NEW,
    Group,
    Selected,
    WatchMailboxes,
)
from gateway.imap.parser import BadCommand, Parser
from gateway.imap.registry import AUTHENTICATED, command
from gateway.imap.session import No, Session
from gateway.imap.status_items import status_line

_KINDS = (b"SELECTED-DELAYED", b"SELECTED", b"INBOXES", b"PERSONAL", b"SUBSCRIBED", b"SUBTREE", b"MAILBOXES")
_KNOWN = "(" + " ".join(EVENTS.values()) + ")"


def _names(session: Session, arguments: Parser) -> tuple[str, ...]:
    if not arguments.at(b"("):
        return (session.mailbox_name(arguments.astring()),)
    names = [session.mailbox_name(arguments.astring())]
    while not arguments.at(b")"):
        arguments.space()
        names.append(session.mailbox_name(arguments.astring()))
        if len(names) > MAX_NAMES:
            raise BadCommand(f"at most {MAX_NAMES} mailboxes")
    return tuple(names)


def _events(arguments: Parser) -> tuple[frozenset[str], list[Item]]:
    """The events of a filter, and what is fetched of new messages."""
    if arguments.at_word(b"NONE"):
        return frozenset(), []
    arguments.expect(b"(")
    events: set[str] = set()
    items: list[Item] = []
    while True:
        word = arguments.atom().decode("ascii").upper()
        if word not in EVENTS:
            raise No(f"[BADEVENT {_KNOWN}] this event is not told")
        events.add(EVENTS[word])
        if EVENTS[word] == NEW and arguments.ahead(b" ("):
            arguments.space()
            items = parse_items(arguments)
        if arguments.at(b")"):
            break
        arguments.space()
    if (NEW in events) != (EXPUNGED in events) or (FLAGS in events and NEW not in events):
        raise BadCommand("MessageNew and MessageExpunge come together, FlagChange with both")  # RFC 5465 5
    return frozenset(events), items


def _fetch(session: Session, items: list[Item], numbers: Sequence[int]) -> Dialogue:
    yield from tell_messages(session, [*items], numbers)


@command("NOTIFY", states=AUTHENTICATED, capability="NOTIFY")
def notify(session: Session, arguments: Parser) -> Dialogue:
    arguments.space()
    if arguments.at_word(b"NONE"):
        arguments.end()
        session.notified = None
        session.is_notifying = False
        yield Ask(WatchMailboxes(()))
        return ""
    arguments.expect(b"SET ")
    wants_figures = arguments.at(b"STATUS ")
    selected: Selected | None = None
    is_named = False
    groups: list[Group] = []
    while True:
        arguments.expect(b"(")
        kind = next((kind for kind in _KINDS if arguments.at_word(kind)), None)
        if kind is None:
            raise BadCommand("a filter of mailboxes expected")
        names = ()  # type: tuple[str, ...]
        if kind in (b"SUBTREE", b"MAILBOXES"):
            arguments.space()
            names = _names(session, arguments)
        arguments.space()
        events, items = _events(arguments)
        arguments.expect(b")")
        if kind.startswith(b"SELECTED"):
            if is_named:
                raise BadCommand("the selected mailbox is named once")
            fetch = partial(_fetch, session, items) if items else None
            is_named = True
            selected = Selected(kind == b"SELECTED-DELAYED", fetch) if events else None
        elif items:
            raise BadCommand("messages are fetched of the selected mailbox only")
        else:
            groups.append(Group(kind.decode().lower(), names, events))
        if len(groups) > MAX_GROUPS:
            raise BadCommand(f"at most {MAX_GROUPS} filters")
        if arguments.at_end():
            break
        arguments.space()
    arguments.end()
    figures = yield from session.ask(WatchMailboxes(groups, selected is not None, wants_figures))
    session.notified, session.is_notifying = selected, True
    items_told = session.news_items()
    yield b"".join([status_line(session.quoted(name), items_told, each) for name, each in figures.items()])
    return ""
