"""Threads of the web front end: nobody has all of them, and everybody's turn comes."""

from __future__ import annotations

import threading

import pytest
from conftest import eventually

from gateway.service.admission import Networks
from webadmin.client import address_of
from webadmin.turns import Turns


class Task:
    """Takes until it is let go."""

    def __init__(self, client: str, done: list[str]) -> None:
        self.client, self.go, self.began = client, threading.Event(), threading.Event()
        self._done = done

    def service(self) -> None:
        self.began.set()
        assert self.go.wait(60)
        self._done.append(self.client)

    def cancel(self) -> None:
        raise AssertionError("nothing is cancelled here")


def test_one_client_leaves_threads_for_others() -> None:
    done: list[str] = []
    turns = Turns(4, 3, lambda task: str(task.client))
    greedy = [Task("greedy", done) for _ in range(20)]
    for task in greedy:
        turns.add_task(task)
    eventually(lambda: sum(task.began.is_set() for task in greedy) == 3)
    other = Task("other", done)
    other.go.set()
    turns.add_task(other)
    eventually(lambda: done == ["other"])
    assert sum(task.began.is_set() for task in greedy) == 3
    for task in greedy:
        task.go.set()
    eventually(lambda: len(done) == 21)  # what waited is answered too
    last = Task("greedy", done)
    last.go.set()
    turns.add_task(last)
    eventually(lambda: len(done) == 22)
    turns.shutdown()


def test_a_request_that_fails_gives_its_thread_back() -> None:
    class Broken(Task):
        def service(self) -> None:
            raise RuntimeError("as a bug would")

    done: list[str] = []
    turns = Turns(2, 1, lambda task: str(task.client))
    for _ in range(5):
        turns.add_task(Broken("one", done))
    last = Task("one", done)
    last.go.set()
    turns.add_task(last)
    eventually(lambda: done == ["one"])
    turns.shutdown()


@pytest.mark.parametrize(
    ("remote", "forwarded", "found"),
    [
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),  # nobody's proxy
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.9:4711", "10.0.0.1"),  # no address: nothing before it is believed
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4 5.6.7.8", "10.0.0.1"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_where_the_client_sits(remote: str, forwarded: str, found: str) -> None:
    assert address_of(remote, forwarded, Networks(("10.0.0.0/8",))) == found
