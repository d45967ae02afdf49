"""What is written together: by one thread, until a moment later, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable

from gateway.observe.gathered import MOST, Gathered


def test_one_thread_s_octets_wait_for_the_moment_and_keep_their_order() -> None:
    written: list[bytes] = []
    moments: list[Callable[[], None]] = []
    gathered = Gathered(written.append, threading.get_ident)
    gathered.put(b"a")
    gathered.begin(moments.append)
    gathered.put(b"b")
    gathered.put(b"c")
    other = threading.Thread(target=gathered.put, args=(b"x",))
    other.start()
    other.join()
    assert written == [b"a", b"x"]
    (flush,) = moments
    flush()
    assert written == [b"a", b"x", b"bc"]
    flush()
    gathered.put(b"d")
    gathered.put(b"warning", now=True)
    assert written == [b"a", b"x", b"bc", b"dwarning"]


def test_what_waits_is_bounded_and_nothing_waits_for_a_loop_that_ended() -> None:
    written: list[bytes] = []
    gathered = Gathered(written.append, threading.get_ident)
    gathered.begin(lambda flush: None)
    for _ in range(MOST):
        gathered.put(b"x")
    assert written == [b"x" * MOST]

    def ended(flush: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    gathered.begin(ended)
    gathered.put(b"last")
    assert written[1:] == [b"last"]


def test_a_block_of_one_thread_is_written_together() -> None:
    written: list[bytes] = []
    gathered = Gathered(written.append, threading.get_ident)
    with gathered.together(), gathered.together():
        gathered.put(b"a")
        other = threading.Thread(target=gathered.put, args=(b"x",))
        other.start()
        other.join()
        gathered.put(b"b")
        gathered.put(b"warning", now=True)
        gathered.put(b"c")
        assert written == [b"x", b"abwarning"]
        for _ in range(MOST):
            gathered.put(b"d")
        assert written[2] == b"c" + b"d" * (MOST - 1)
    assert written[3:] == [b"d"]
    gathered.put(b"e")
    assert written[4:] == [b"e"]
