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
    ("mode", "uid", "gid", "allowed"),
    [
        (0o600, 5000, 1, True),
        (0o040, 5000, 1, False),
        (0o640, 1, 5000, True),
        (0o604, 1, 1, True),
        (0o600, 1, 1, False),
    ],
)
def test_modes_decide_who_may_read(tmp_path: Path, mode: int, uid: int, gid: int, allowed: bool) -> None:
    if os.getuid() != 0:
        pytest.skip("only root gives files away")
    path = Path("/tmp") / f"gatepost-identity-{os.getpid()}"
    path.write_text("")
    try:
        os.chown(path, uid, gid)
        path.chmod(mode)
        assert may(Identity(5000, 5000), path, 4) is allowed
    finally:
        path.unlink()
    assert not may(Identity(5000, 5000), tmp_path / "gone", 4)
