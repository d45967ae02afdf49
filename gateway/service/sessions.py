"""The open sessions of a worker: counted, and asked to end when the process does."""

from __future__ import annotations

import asyncio
from typing import Protocol


class Retiring(Protocol):
    """A connection that can end politely."""

    def retire(self) -> None:
        """Say goodbye as soon as nothing is under way, and close."""
        ...

    def __hash__(self) -> int: ...


class Sessions:
    """One a worker; used in its event loop only."""

    def __init__(self) -> None:
        self._open: set[Retiring] = set()
        self._waiting: asyncio.Event | None = None
        #: no session shall go on beyond what it does now
        self.retiring = False

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, session: Retiring) -> None:
        """A client has connected."""
        self._open.add(session)

    def closed(self, session: Retiring) -> None:
        """Its connection is gone."""
        self._open.discard(session)
        if not self._open and self._waiting is not None:
            self._waiting.set()

    def retire(self) -> None:
        """Ask every session to end."""
        self.retiring = True
        for session in list(self._open):
            session.retire()

    async def ended(self, seconds: float, or_else: asyncio.Event | None = None) -> None:
        """Wait until none is open, at most `seconds`, or until `or_else`."""
        self._waiting = asyncio.Event()
        if self._open:
            try:
                async with asyncio.timeout(seconds):
                    await first_of(self._waiting, *([or_else] if or_else is not None else []))
            except TimeoutError:
                pass


async def first_of(*events: asyncio.Event) -> None:
    """Wait until one of the events is set."""
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
