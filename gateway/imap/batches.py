"""Messages in portions, so that what is read for a command at once has a limit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.imap.view import Message


def batches(messages: Iterable[Message], most: int, octets: int) -> Iterator[list[Message]]:
    """Portions of at most `most` messages and, unless it is one message, `octets` octets (0: any number)."""
    batch: list[Message] = []
    room = octets
    for message in messages:
        if batch and (len(batch) >= most or (octets and message.size > room)):
            yield batch
            batch, room = [], octets
        batch.append(message)
        room -= message.size
    if batch:
        yield batch
