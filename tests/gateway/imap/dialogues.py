"""Running a core's dialogues without a connection."""

from __future__ import annotations

import asyncio

from gateway.ask import Dialogue
from gateway.service.driver import Executor, Full, Output, Problem, advance, answer_of


async def run_dialogue(dialogue: Dialogue, executor: Executor, output: Output) -> None:
    """Run one dialogue to its end, for an `output` that is never full."""
    answer: object = None
    error: Problem | None = None
    while (waiting := advance(dialogue, executor, output, answer, error)) is not None:
        assert not isinstance(waiting, Full)
        done = asyncio.ensure_future(waiting)
        await asyncio.wait([done])
        answer, error = answer_of(done)
