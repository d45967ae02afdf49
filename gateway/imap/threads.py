"""Threads of messages: REFERENCES and ORDEREDSUBJECT (RFC 5256 3), and REFS, by references alone. Pure.

Nothing here recurses: a thread may be as deep as there are messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

MAX_REFERENCES = 1000  # of one message, the last ones
MAX_STEPS = 10_000_000  # in all, to see whether a link would make a loop; what is left then stands alone
_ID = re.compile(rb"<([^<>\s]+@[^<>\s]+)>")


@dataclass(slots=True)
class Threaded:
    """What is known of a message: `number` is what the answer calls it."""

    number: int
    sent: float
    arrived: float
    subject: str
    is_reply: bool
    id: bytes
    references: Sequence[bytes]


def message_id(text: bytes) -> bytes:
    """The first valid message id in a field's value, empty where there is none."""
    found = _ID.search(text)
    return found[1] if found else b""


def references_of(references: bytes, in_reply_to: bytes) -> list[bytes]:
    """The ids that a message refers to, the parent last (RFC 5256 3, REFERENCES 1)."""
    found = _ID.findall(references)
    if found:
        return found[-MAX_REFERENCES:]
    parent = message_id(in_reply_to)
    return [parent] if parent else []


@dataclass(eq=False, slots=True)
class Node:
    """A message in its place; without `message` a place for one that is not here."""

    message: Threaded | None = None
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

    def adopt(self, child: Node) -> None:
        """Make `child` one of the children."""
        if child.parent is not None:
            child.parent.children.remove(child)
        child.parent = self
        self.children.append(child)


class _Loops:
    """Says whether a link would make a loop, for a bounded number of steps."""

    def __init__(self) -> None:
        self._left = MAX_STEPS

    def would_be(self, above: Node, child: Node) -> bool:
        """True when `above` is `child` or below it, or nobody can say any more."""
        if above is child or not child.children:
            return above is child
        node: Node | None = above
        while node is not None and node is not child:
            self._left -= 1
            if self._left < 0:
                return True
            node = node.parent
        return node is child


def _linked(messages: Iterable[Threaded]) -> list[Node]:
    """Steps 1 and 2: nodes under the messages they refer to. Returns those that have no parent."""
    nodes: dict[bytes, Node] = {}
    extra: list[Node] = []
    loops = _Loops()
    for message in messages:
        node = nodes.get(message.id) if message.id else None
        if node is None or node.message is not None:  # without an id, or one that another message has
            node = Node()
            if message.id and message.id not in nodes:
                nodes[message.id] = node
            else:
                extra.append(node)
        node.message = message
        above: Node | None = None
        for reference in message.references:
            here = nodes.get(reference)
            if here is None:
                here = nodes[reference] = Node()
            if above is not None and here.parent is None and not loops.would_be(above, here):
                above.adopt(here)
            above = here
        if above is not None and not loops.would_be(above, node):
            above.adopt(node)
    return [node for node in (*nodes.values(), *extra) if node.parent is None]


def _below(roots: Iterable[Node]) -> list[Node]:
    """All nodes, each before its children."""
    found, waiting = [], list(roots)
    while waiting:
        node = waiting.pop()
        found.append(node)
        waiting.extend(node.children)
    return found


def _pruned(roots: list[Node]) -> list[Node]:
    """Step 3: places without a message go, their children come up; at the top only one child does."""
    for node in reversed(_below(roots)):
        kept: list[Node] = []
        for child in node.children:
            if child.message is None:
                kept.extend(child.children)
            else:
                kept.append(child)
        node.children = kept
        for child in kept:
            child.parent = node
    found = []
    for root in roots:
        if root.message is None and len(root.children) <= 1:
            for child in root.children:
                child.parent = None
                found.append(child)
        else:
            found.append(root)
    return found


def _first(node: Node) -> Threaded:
    """The message that stands for a thread: of a place without one its first child's."""
    while node.message is None:
        node = node.children[0]
    return node.message


def _in_order(nodes: list[Node]) -> None:
    nodes.sort(key=lambda node: (_first(node).sent, _first(node).number))


def _sort_below(roots: Iterable[Node]) -> None:
    for node in reversed(_below(roots)):
        _in_order(node.children)


def _by_subject(roots: list[Node]) -> list[Node]:
    """Step 5: threads of one base subject become one."""
    table: dict[str, Node] = {}
    for root in roots:
        message = _first(root)
        if not message.subject:
            continue
        known = table.get(message.subject)
        if (
            known is None
            or (known.message is not None and root.message is None)
            or (known.message is not None and _first(known).is_reply and not message.is_reply)
        ):
            table[message.subject] = root
    found: list[Node] = []
    replaced: dict[int, Node] = {}
    for root in roots:
        message = _first(root)
        known = table.get(message.subject) if message.subject else None
        if known is None or known is root:
            found.append(root)
        elif known.message is None and root.message is None:
            for child in root.children:  # all at once: there may be as many as messages
                child.parent = known
            known.children += root.children
        elif known.message is None or (message.is_reply and not _first(known).is_reply):
            known.adopt(root)
        else:
            both = Node()
            replaced[id(known)] = both
            both.adopt(known)
            both.adopt(root)
            table[message.subject] = both
    return [replaced.get(id(root), root) for root in found]


def by_references(messages: Sequence[Threaded]) -> list[Node]:
    """REFERENCES."""
    roots = _pruned(_linked(messages))
    _sort_below(roots)
    _in_order(roots)
    roots = _by_subject(roots)
    _sort_below(roots)
    _in_order(roots)
    return roots


def by_refs(messages: Sequence[Threaded]) -> list[Node]:
    """REFS: no look at subjects, and the thread in which something came last stands last."""
    roots = _pruned(_linked(messages))
    _sort_below(roots)
    latest = {id(root): max(_arrivals(root)) for root in roots}
    roots.sort(key=lambda root: (latest[id(root)], _first(root).number))
    return roots


def _arrivals(root: Node) -> Iterator[float]:
    return (node.message.arrived for node in _below([root]) if node.message is not None)


def by_subject(messages: Sequence[Threaded]) -> list[Node]:
    """ORDEREDSUBJECT: all of one base subject below the first."""
    threads: dict[str, Node] = {}
    for message in sorted(messages, key=lambda each: (each.sent, each.number)):
        first = threads.get(message.subject)
        if first is None:
            threads[message.subject] = Node(message)
        else:
            first.adopt(Node(message))
    return list(threads.values())


def shown(roots: Sequence[Node]) -> bytes:
    """The threads of the THREAD response (RFC 5256 4)."""
    out: list[bytes] = []
    waiting: list[Node | bytes] = [item for root in reversed(roots) for item in (b")", root, b"(")]
    needs_space = False
    while waiting:
        item = waiting.pop()
        if isinstance(item, bytes):
            out.append(item)
            needs_space = False
            continue
        if item.message is not None:
            out.append(b" %d" % item.message.number if needs_space else b"%d" % item.message.number)
            needs_space = True
        if len(item.children) == 1 and item.message is not None:
            waiting.append(item.children[0])
        elif item.children:
            if item.message is not None:
                out.append(b" ")
            waiting += [each for child in reversed(item.children) for each in (b")", child, b"(")]
    return b"".join(out)
