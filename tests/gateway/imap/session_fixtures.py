"""Fixtures of dialogs over a real store: a plug-in of the test files that name it, since a second `conftest` would hide the first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from two_sessions import Client, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["one worker", "two workers"])
def pair(world: World, request: pytest.FixtureRequest) -> tuple[Client, Client]:
    first = world.worker()
    for _ in range(3):
        first.deliver()
    second = first if request.param == "one worker" else world.worker()
    return first.session("SELECT INBOX"), second.session("SELECT INBOX")
