"""A directory that is one LDIF file: followed, passwords checked, mistakes told with their line."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from passlib.hash import ldap_pbkdf2_sha256, ldap_salted_sha1, ldap_salted_sha512

from directory.authenticator_bind import Verdict
from directory.embedded import hash_password
from directory.follow import Follower
from directory.ldif_file import FileBinds, LdifFile, verify
from directory.memory import MemorySource
from directory.model import Account, Deferred, MailingList
from directory.profile import Profile
from directory.replica_writer import ReplicaWriter
from directory.rights import Actor
from directory.settings import DirectorySettings
from directory.tracker import ldif_file as tracker_module
from directory.tracker.choose import tracker_for
from directory.view import View
from directory.write_problem import NotAllowed
from directory.write_server import WriteServer

COMPANY = """dn: uid=jane,ou=people,o=x
objectClass: inetOrgPerson
uid: jane
mail: jane@example.com
gatepostQuota: 5000
entryUUID: 11111111-2222-3333-4444-555555555555
userPassword: {password}

dn: cn=all,o=x
objectClass: groupOfNames
mail: all@example.com
member: UID=jane, ou=people,o=x
"""


def settings(path: Path) -> DirectorySettings:
    return DirectorySettings(servers=(f"file://{path}",), profile="ldif", domains=("example.com",))


class Followed:
    def __init__(self, folder: Path, found: DirectorySettings) -> None:
        profile = Profile.of(found)
        self.tracker = tracker_for(found, None, profile)  # type: ignore[arg-type]
        self.writer = ReplicaWriter(folder, profile, scope=found.scope)
        self.view = View(self.writer.reader(), profile)
        self._stop = threading.Event()
        follower = Follower(self.tracker, self.writer, lambda *args, **facts: None)
        self._thread = threading.Thread(target=follower.run, args=(self._stop,))
        self._thread.start()

    def eventually(self, what: object) -> None:
        for _ in range(500):
            if what():  # type: ignore[operator]
                return
            self._stop.wait(0.02)
        pytest.fail("it did not happen")

    def stop(self) -> None:
        self._stop.set()
        self.tracker.stop()
        self._thread.join(10)
        self.writer.close()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tracker_module, "LOOK_SECONDS", 0.02)
    found = tmp_path / "company.ldif"
    found.write_text(COMPANY.format(password="secret"))
    return found


@pytest.fixture
def followed(path: Path, tmp_path: Path) -> Iterator[Followed]:
    running = Followed(tmp_path / "copy", settings(path))
    running.eventually(lambda: running.view.freshness().fresh_at > 0)
    yield running
    running.stop()


def replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    os.rename(new, path)


def test_the_file_is_the_directory_and_changes_are_followed(path: Path, followed: Followed) -> None:
    (jane,) = followed.view.owners("jane@example.com")
    assert isinstance(jane, Account) and jane.quota == 5000
    assert jane.id == "directory:11111111-2222-3333-4444-555555555555"
    (all_of_us,) = followed.view.owners("all@example.com")
    assert isinstance(all_of_us, MailingList) and followed.view.by_dn(all_of_us.members[0]) == jane
    mark = followed.view.change_mark(jane.id)
    replace(path, COMPANY.format(password="other").replace("5000", "6000") + "mail: everybody@example.com\n")
    followed.eventually(lambda: followed.view.owners("everybody@example.com"))
    (jane,) = followed.view.owners("jane@example.com")
    assert isinstance(jane, Account) and jane.quota == 6000 and followed.view.change_mark(jane.id) != mark


def test_a_new_password_alone_changes_the_mark(path: Path, followed: Followed) -> None:
    (jane,) = followed.view.owners("jane@example.com")
    mark = followed.view.change_mark(jane.id)
    replace(path, COMPANY.format(password="other"))
    followed.eventually(lambda: followed.view.change_mark(jane.id) != mark)


@pytest.mark.parametrize(
    ("text", "said"),
    [("dn: o=x\nbroken\n", "company.ldif:2: 'attribute: value' is expected"),
     (COMPANY + "\n" + COMPANY, "company.ldif:14: uid=jane,ou=people,o=x stands here twice"),
     (COMPANY.replace("11111111-", "1-"), "company.ldif:1: uid=jane,ou=people,o=x: entryUUID is no UUID")],
)  # fmt: skip
def test_a_broken_file_is_trouble_and_the_last_good_one_stays(
    path: Path, followed: Followed, text: str, said: str
) -> None:
    replace(path, text)
    followed.eventually(lambda: said in followed.view.freshness().trouble)
    assert followed.view.owners("jane@example.com")
    replace(path, COMPANY.format(password="x"))
    followed.eventually(lambda: not followed.view.freshness().trouble)
    path.unlink()
    followed.eventually(lambda: "company.ldif: No such file" in followed.view.freshness().trouble)
    assert followed.view.owners("jane@example.com")


@pytest.mark.parametrize(
    "stored",
    ["secret", hash_password("secret"), ldap_salted_sha1.hash("secret"), ldap_salted_sha512.hash("secret"),
     ldap_pbkdf2_sha256.using(rounds=1000).hash("secret"), hash_password("secret") + "\0\0"],
    ids=["clear", "argon2", "ssha", "ssha512", "pbkdf2", "argon2 of the server"],
)  # fmt: skip
def test_passwords(path: Path, stored: str) -> None:
    path.write_text(COMPANY.format(password=stored))
    file = LdifFile(path)
    binds = FileBinds(file)
    assert binds.bind("UID=jane,ou=People,o=x", "secret").verdict is Verdict.RIGHT
    assert binds.bind("uid=jane,ou=people,o=x", "Secret").verdict is Verdict.WRONG
    assert binds.bind("cn=all,o=x", "secret").verdict is Verdict.FORBIDDEN
    assert all(b"secret" not in value for raw in file.entries() for value in raw.attributes["entrycsn"])
    path.unlink()
    with pytest.raises(Deferred):
        binds.bind("uid=jane,ou=people,o=x", "secret")


def test_an_unknown_scheme_is_not_a_wrong_password(path: Path) -> None:
    with pytest.raises(ValueError, match="unknown scheme"):
        verify(b"{ROT13}frperg", "secret")
    path.write_text(COMPANY.format(password="{ROT13}frperg"))
    assert FileBinds(LdifFile(path)).bind("uid=jane,ou=people,o=x", "secret").verdict is Verdict.FORBIDDEN


def test_entries_outside_the_base_are_not_there(path: Path) -> None:
    assert [raw.dn for raw in LdifFile(path, base="OU=people,o=x").entries()] == ["uid=jane,ou=people,o=x"]


def test_nothing_is_written_to_it(path: Path) -> None:
    server = WriteServer.of(settings(path))
    actor = Actor("root")
    for write in (
        lambda: server.read("uid=jane,ou=people,o=x"),
        lambda: server.add(actor, "o=y", ["top"], {}),
        lambda: server.delete(actor, "o=y", ""),
        lambda: server.password(actor, "o=y", "new", None),
    ):
        with pytest.raises(NotAllowed, match="changed with an editor"):
            write()


def test_in_memory_for_tests(path: Path) -> None:
    profile = Profile.of(settings(path))
    view = View(MemorySource(profile, LdifFile(path).entries()), profile)
    assert view.owners("jane@example.com") and view.domain("example.com")
