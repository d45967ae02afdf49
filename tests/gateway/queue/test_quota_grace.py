"""Since when an account is full: first later, then never."""

from __future__ import annotations

from pathlib import Path

from directory.model import Deferred, Refused
from gateway.queue.grace import QuotaGrace


def test_quota_grace(tmp_path: Path) -> None:
    one, two = QuotaGrace(tmp_path / "q.db", 100), QuotaGrace(tmp_path / "q.db", 100)
    assert isinstance(one.full("a", 1000), Deferred)
    assert isinstance(two.full("a", 1101), Refused)
    two.has_room("a")
    assert isinstance(one.full("a", 2000), Deferred)
    one.has_room("a")
    one.has_room("b")
    one.close()
    two.close()
