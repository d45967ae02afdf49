"""A directory in which nothing happens: the change search outlives every time limit of the connection."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from conftest import free_offset

from directory import embedded
from directory.connection import Servers
from directory.embedded import EmbeddedDirectory
from directory.model import Deferred
from directory.profile import Profile
from directory.settings import Bind, DirectorySettings, Timeout
from directory.tracker.choose import tracker_for
from directory.tracker.port import Event, Fresh


def test_a_quiet_search_stays_open(tmp_path: Path) -> None:
    directory = EmbeddedDirectory(tmp_path / "ldap", "o=gatepost", "127.0.0.1", 3890 + free_offset())
    directory.create("Quiet", "")
    slapd = directory.start()
    settings = DirectorySettings(
        servers=(directory.uri,),
        base="o=gatepost",
        bind=Bind(dn="cn=gateway,ou=services,o=gatepost", password_file=str(directory.password_file("gateway"))),
        timeout=Timeout(connect=1.0, op=1.0),
    )
    tracker = tracker_for(settings, Servers(settings), Profile.load("native"))
    told: list[Event] = []
    broken: list[Deferred] = []

    def follow() -> None:
        try:
            told.extend(tracker.events(None))
        except Deferred as error:
            broken.append(error)

    following = threading.Thread(target=follow)
    following.start()
    try:
        begin = time.monotonic()
        while time.monotonic() - begin < 4 and not broken:
            time.sleep(0.05)
        if broken:
            pytest.fail(f"ended after {time.monotonic() - begin:.1f} s: {broken[0].detail}")
        assert any(isinstance(event, Fresh) for event in told)
    finally:
        tracker.stop()
        following.join(10)
        embedded.stop(slapd)
