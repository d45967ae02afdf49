"""The directory's local copy, for programs beside the service that look at it once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from directory.profile import Profile
from directory.replica import ReplicaReader
from directory.view import View
from gateway.config.settings import Settings


@contextmanager
def raw_copy(settings: Settings) -> Iterator[ReplicaReader]:
    """The entries as they came. Raises Deferred while there is no copy."""
    reader = ReplicaReader.open(Path(settings.state_dir) / "replica")
    try:
        yield reader
    finally:
        reader.close()


@contextmanager
def local_copy(settings: Settings) -> Iterator[View]:
    """The directory as the workers see it. Raises Deferred while there is no copy."""
    with raw_copy(settings) as reader:
        yield View(reader, Profile.of(settings.directory), settings.defaults)
