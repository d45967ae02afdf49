"""Paths that are others on the new machine."""

from __future__ import annotations

import pytest

from gateway.backup.restoring import Moves

MOVES = Moves([("/srv/mail", "/data/mail"), ("/srv", "/mnt/srv/"), ("/etc/gatepost", "/opt/gp")])


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("path: /srv/mail", "path: /data/mail"),
        ("path: /srv/mail/", "path: /data/mail/"),
        ('"/srv/mail/x y"', '"/data/mail/x y"'),
        ("/srv/mail2/x", "/mnt/srv/mail2/x"),
        ("/srv2/mail", "/srv2/mail"),
        ("/a/srv/mail", "/a/srv/mail"),
        ("x.srv/mail ./srv/mail", "x.srv/mail ./srv/mail"),
        ("[/etc/gatepost/a, /srv/b]", "[/opt/gp/a, /mnt/srv/b]"),
        ("file:///etc/gatepost/d.ldif", "file:///opt/gp/d.ldif"),
        ("ldapi://%2Fetc%2Fgatepost%2Fldapi", "ldapi://%2Fopt%2Fgp%2Fldapi"),
        ("ldap://srv/etc/gatepost", "ldap://srv/etc/gatepost"),
    ],
)
def test_whole_paths_only(text: str, moved: str) -> None:
    assert MOVES.text(text) == moved


def test_without_moves_nothing_changes() -> None:
    assert Moves([]).text("path: /srv/mail") == "path: /srv/mail"
