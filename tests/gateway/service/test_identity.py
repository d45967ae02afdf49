"""Who runs what: names, numbers without an account, refusals."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from gateway.config.settings import RunAs
from gateway.service.identity import Identity, NoSuchUser, identities, may, own, resolve


def test_without_run_as_everybody_is_who_we_are() -> None:
    who = identities(RunAs())
    assert who.mail == own()
    assert who.directory.uid == os.getuid()


def test_a_number_needs_no_account_and_a_name_does() -> None:
    assert resolve("4242424") == Identity(4242424, 4242424)
    me = pwd.getpwuid(0)
    assert resolve(me.pw_name).uid == resolve("0").uid == 0
    for wrong in ("nobody-of-that-name", "99999999999", ""):
        with pytest.raises(ValueError, match=r"user|uid"):
            resolve(wrong)


def test_the_key_at_fault_is_named() -> None:
    with pytest.raises(NoSuchUser) as caught:
        identities(RunAs(directory="nobody-of-that-name"))
    assert caught.value.key == "directory"


def test_only_root_can_become_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    assert identities(RunAs(mail="1234")).mail.uid == 1234
    with pytest.raises(NoSuchUser, match="started as root"):
        identities(RunAs(mail="4321"))


def test_the_agent_shares_the_mail_group() -> None:
    if os.getuid() == 0:
        who = identities(RunAs(mail="5000", directory="5001"))
        assert (who.directory.uid, who.directory.groups) == (5001, (5000,))


@pytest.mark.parametrize(
    ("mode", "who", "allowed"),
    [
        (0o600, "owner", True),
        (0o040, "owner", False),
        (0o640, "group", True),
        (0o604, "other", True),
        (0o600, "other", False),
    ],
)
def test_modes_decide_who_may_read(tmp_path: Path, mode: int, who: str, allowed: bool) -> None:
    path = Path("/tmp") / f"gatepost-identity-{os.getpid()}"  # everybody may search the folders above
    path.write_text("")
    try:
        if os.getuid() == 0:
            os.chown(path, 5000, 5000)  # uid 0 may everything
        uid, gid = path.stat().st_uid, path.stat().st_gid
        identity = {
            "owner": Identity(uid, gid + 1),
            "group": Identity(uid + 1, gid),
            "other": Identity(uid + 1, gid + 1),
        }[who]
        path.chmod(mode)
        assert may(identity, path, 4) is allowed
        assert not may(identity, tmp_path / "gone", 4)
    finally:
        path.unlink()
