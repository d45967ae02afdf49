"""Which tracker follows a directory."""

from __future__ import annotations

from directory.connection import Servers
from directory.profile import Profile
from directory.settings import DirectorySettings
from directory.tracker.port import Tracker
from directory.tracker.syncrepl import SyncreplTracker


def tracker_for(settings: DirectorySettings, servers: Servers, profile: Profile) -> Tracker:
    """The tracker that `directory.track` names."""
    del profile
    return SyncreplTracker(settings, servers)
