"""Polling by modifyTimestamp, against a real server: changes, deletions, renames, what becomes visible."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ldap3
import pytest
from following import SUFFIX, Following, Slapd, company, eventually

from directory.model import Account
from directory.tracker import timestamp


@pytest.fixture
def slapd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slapd]:
    monkeypatch.setattr(timestamp, "POLL_SECONDS", 0.1)
    running = Slapd(tmp_path / "ldap", company("jane", "bob", "ann"))
    yield running
    running.stop()


def test_changes_and_deletions_are_told(slapd: Slapd, tmp_path: Path) -> None:
    following = Following(tmp_path / "copy", slapd.settings(track="timestamp", compare_seconds=0.5))
    try:
        eventually(lambda: following.has("jane@example.com") and following.is_final())
        with slapd.admin() as admin:
            dn = f"uid=jane,ou=people,{SUFFIX}"
            assert admin.modify(dn, {"gatepostAddress": [(ldap3.MODIFY_ADD, ["j@example.com"])]})
            took = eventually(lambda: following.has("j@example.com"))
            print(f"an alias after {took:.2f} s")
            (before,) = following.view.owners("jane@example.com")
            assert admin.modify_dn(dn, "uid=janet")
            eventually(lambda: following.view.by_dn(f"uid=janet,ou=people,{SUFFIX}") is not None)
            (after,) = following.view.owners("jane@example.com")
            assert after.id == before.id and isinstance(after, Account)
            assert admin.delete(f"uid=bob,ou=people,{SUFFIX}")
            eventually(lambda: not following.has("bob@example.com"))
        assert following.has("ann@example.com") and following.is_final()
    finally:
        following.stop()


def test_a_second_start_reads_only_what_changed(slapd: Slapd, tmp_path: Path) -> None:
    settings = slapd.settings(track="timestamp")
    first = Following(tmp_path / "copy", settings)
    eventually(first.is_final)
    first.stop()
    with slapd.admin() as admin:
        assert admin.delete(f"uid=bob,ou=people,{SUFFIX}")
        assert admin.modify(f"uid=ann,ou=people,{SUFFIX}", {"gatepostAddress": [(ldap3.MODIFY_ADD, ["a@example.com"])]})
    second = Following(tmp_path / "copy", settings)
    try:
        assert second.writer.cookie() is not None
        eventually(lambda: second.has("a@example.com") and not second.has("bob@example.com"))
        assert second.has("jane@example.com")
    finally:
        second.stop()


def test_the_server_decides_between_synchronisation_and_polling(slapd: Slapd, tmp_path: Path) -> None:
    """Without the overlay on the database the server refuses the control, and auto falls back to polling."""
    following = Following(tmp_path / "auto", slapd.settings())
    eventually(following.is_final)
    assert following.tracker.name == "syncrepl"  # type: ignore[attr-defined]
    following.stop()
    slapd.stop()
    next((slapd.directory.folder / "slapd.d").rglob("*syncprov.ldif")).unlink()
    slapd.restart()
    following = Following(tmp_path / "auto", slapd.settings())
    try:
        eventually(lambda: following.tracker.name == "timestamp" and following.is_final())  # type: ignore[attr-defined]
        with slapd.admin() as admin:
            assert admin.modify(
                f"uid=ann,ou=people,{SUFFIX}", {"gatepostAddress": [(ldap3.MODIFY_ADD, ["b@example.com"])]}
            )
        eventually(lambda: following.has("b@example.com"))
    finally:
        following.stop()
    named = Following(tmp_path / "named", slapd.settings(track="syncrepl"))
    try:
        eventually(lambda: "does not offer content synchronisation" in named.view.freshness().trouble)
        assert not named.is_final()
    finally:
        named.stop()
