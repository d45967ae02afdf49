"""Which messages wait for others at the start of a runner.

A report, and what rules pass on, is a message made of another one, under a name made from that one's. When a crash comes
before it is written down that it was made, it is made again: the same file under the same name, so that it is there
once. That holds only while the first one has not been delivered and removed; so it is not tried before the one that it
was made of.
"""

from __future__ import annotations

from collections.abc import Set

from gateway.queue.file import made_of


class Lineage:
    """Of the messages that are `present` when a runner starts; of those that come later nothing needs to wait."""

    def __init__(self, present: Set[str]) -> None:
        #: messages of which others were made, and that were not tried since; of each, who waits for it
        self._untried: dict[str, dict[str, None]] = {
            origin: {} for message in present for origin in made_of(message) if origin in present
        }

    def first(self) -> list[str]:
        """Messages that are to be tried whether they are due or not, because others wait for them."""
        return [message for message in sorted(self._untried) if not self.keeps(message)]

    def keeps(self, message: str) -> bool:
        """True for one that has to wait: it is kept and given back by `tried`."""
        origin = next((each for each in made_of(message) if each in self._untried), None) if self._untried else None
        if origin is None:
            return False
        self._untried[origin][message] = None
        return True

    def tried(self, message: str) -> list[str]:
        """An attempt at this one ended: who waited for it is to be looked at again."""
        return list(self._untried.pop(message, ()))
