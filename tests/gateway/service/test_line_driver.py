"""The driver of all protocols under any order of events: data in pieces, a client that stops and goes on reading,
answers that come late, wake-ups, a half-closed connection. Everything asked is answered once, whole and in order.
"""

from __future__ import annotations

import asyncio
import inspect
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ask import Ask, Dialogue
from gateway.service.connection import Connection
from gateway.service.deadlines import Deadlines
from gateway.service.line_connection import MAX_WAITING, LineConnection
from gateway.service.sessions import Sessions
from gateway.service.settings import LimitSettings

NEWS = b"(news)"


class Transport(SimpleNamespace):
    """Takes octets; tells the protocol when it is closed."""

    protocol: LineConnection
    out: bytes = b""
    closing = False
    reading = True
    lost = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def write(self, data: bytes) -> None:
        assert not self.lost
        self.out += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self._lose)

    abort = close

    def _lose(self) -> None:
        self.lost = True
        self.protocol.connection_lost(None)


class Core:
    patience: float | None = 600.0
    tls = ""

    def __init__(self) -> None:
        self.closing = False
        self.news = 0
        self.left = b""

    def greeting(self) -> bytes:
        return b""

    def receive(self, data: bytes) -> None:
        self.left += data

    def next_dialogue(self) -> Dialogue | None:
        line, end, rest = self.left.partition(b"\n")
        if not end:
            return None
        self.left = rest
        return self._answer(line)

    def woken(self) -> Dialogue | None:
        return self._news() if self.news else None

    def expired(self) -> Dialogue | None:
        return None

    def _news(self) -> Dialogue:
        self.news -= 1
        yield NEWS

    def _answer(self, line: bytes) -> Dialogue:
        yield b"<" + line
        if line.startswith(b"big"):
            for number in range(3):
                yield b"%d" % number * 40_000
        if line.startswith(b"wait"):
            yield (yield Ask(line))
        if line == b"quit":
            self.closing = True
        yield b">"


class Executor:
    def __init__(self) -> None:
        self.pending: list[asyncio.Future[bytes]] = []
        self.closed = 0

    def execute(self, request: object) -> object:
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.pending.append(future)
        return future

    def answer(self) -> None:
        while self.pending:
            future = self.pending.pop()
            if not future.done():
                future.set_result(b"!")

    def close(self) -> None:
        self.closed += 1


def expected(lines: list[bytes]) -> bytes:
    out = b""
    for line in lines:
        middle = b"0" * 40_000 + b"1" * 40_000 + b"2" * 40_000 if line.startswith(b"big") else b""
        out += b"<" + line + middle + (b"!" if line.startswith(b"wait") else b"") + b">"
        if line == b"quit":
            break
    return out


async def play(lines: list[bytes], cuts: list[int], events: list[str]) -> None:
    core, executor, transport = Core(), Executor(), Transport()
    connection = cast(Connection, SimpleNamespace(speaker=None, address="x", log_cut=print))
    driver = LineConnection(lambda c, tls, wake: (core, executor), connection, Deadlines(), LimitSettings(), Sessions())
    transport.protocol = driver
    driver.connection_made(cast(Any, transport))
    stream = b"".join(line + b"\n" for line in lines)
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    paused = ended = False
    woken = 0
    for event in [*events, *["data"] * len(pieces)]:
        if transport.lost:
            break
        if event == "data" and pieces and transport.reading:
            driver.data_received(pieces.pop(0))
        elif event in ("pause", "resume") and not transport.closing and paused != (event == "pause"):
            paused = not paused
            (driver.pause_writing if paused else driver.resume_writing)()
        elif event == "answer":
            executor.answer()
        elif event == "wake":
            core.news += 1
            woken += 1
            driver.wake()
        for _ in range(3 if event == "turn" else 0):
            await asyncio.sleep(0)
        assert len(driver._waiting) <= MAX_WAITING + len(stream)
    for _ in range(40 * len(lines) + 200):
        if transport.lost:
            break
        if paused and not transport.closing:
            paused = False
            driver.resume_writing()
        executor.answer()
        if pieces and transport.reading:
            driver.data_received(pieces.pop(0))
        elif not pieces and not ended:
            ended = True
            if not driver.eof_received():
                transport.close()
        await asyncio.sleep(0)
    assert transport.lost
    assert executor.closed == 1
    assert transport.out.replace(NEWS, b"") == expected(lines)
    assert transport.out.count(NEWS) <= woken
    for inside in transport.out.split(b"<")[1:]:
        assert NEWS not in inside.partition(b">")[0]  # never in the middle of an answer


def test_a_connection_that_is_lost_at_once_leaves_nothing_half_begun() -> None:
    class Slow(Executor):
        async def work(self) -> bytes:
            await asyncio.sleep(60)
            return b"!"

        def execute(self, request: object) -> object:
            self.begun = self.work()
            return self.begun

    async def test() -> None:
        core, executor, transport = Core(), Slow(), Transport()
        connection = cast(Connection, SimpleNamespace(speaker=None, address="x", log_cut=print))
        driver = LineConnection(
            lambda c, tls, wake: (core, executor), connection, Deadlines(), LimitSettings(), Sessions()
        )
        transport.protocol = driver
        driver.connection_made(cast(Any, transport))
        driver.data_received(b"wait\n")
        driver.connection_lost(None)  # before the request has had its first turn
        await asyncio.sleep(0.01)
        assert inspect.getcoroutinestate(executor.begun) == inspect.CORO_CLOSED
        assert executor.closed == 1

    asyncio.run(test())


COMMAND = st.sampled_from([b"a", b"bb", b"wait1", b"wait2", b"big", b"quit", b""])
EVENT = st.sampled_from(["data", "data", "pause", "resume", "answer", "wake", "turn", "turn"])


@settings(max_examples=300, deadline=None)
@given(st.lists(COMMAND, max_size=12), st.lists(st.integers(0, 200), max_size=8), st.lists(EVENT, max_size=40))
def test_any_order_of_events(lines: list[bytes], cuts: list[int], events: list[str]) -> None:
    asyncio.run(play(lines, cuts, events))
