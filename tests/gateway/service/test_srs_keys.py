"""The key file of rewritten return paths: made by who signs, renewed, read by others without a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from directory.model import Deferred
from gateway.mail.srs import DAY
from gateway.service.srs_keys import SrsKeys


def keys(path: Path, *, signs: bool) -> SrsKeys:
    return SrsKeys(path, key_days=30, max_age_days=21, signs=signs)


def test_a_reader_sees_what_the_signer_makes(tmp_path: Path) -> None:
    path = tmp_path / "srs.keys"
    reader, signer = keys(path, signs=False), keys(path, signs=True)
    assert list(reader(0.0)) == []
    assert not path.exists()
    (first,) = signer(0.0)
    assert list(reader(0.0)) == [first]
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(signer(30 * DAY)) == [first]
    second, old = signer(31 * DAY)
    assert old == first
    assert list(reader(31 * DAY)) == [second, first]
    assert list(keys(path, signs=True)(31 * DAY)) == [second, first]
    assert first not in signer(62 * DAY)  # nothing that it signed can come back
    assert second in signer(62 * DAY)


def test_a_damaged_file_is_trouble_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "srs.keys"
    for content in ("0 abcd\n", "hello\n", "x " + "00" * 32 + "\n"):
        path.write_text(content)
        for signs in (True, False):
            with pytest.raises(Deferred):
                keys(path, signs=signs)(0.0)
        assert path.read_text() == content
