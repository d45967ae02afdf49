"""A private slapd with a few people and a strict password policy, followed into a replica."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import ldap3

from directory import embedded
from directory.authenticator import Authenticator
from directory.authenticator_bind import BindPool
from directory.authenticator_settings import AuthSettings
from directory.connection import Servers
from directory.embedded import EmbeddedDirectory
from directory.follow import Follower
from directory.profile import Profile
from directory.replica import ReplicaReader, ReplicaWriter
from directory.settings import Bind, DirectorySettings
from directory.state import State
from directory.tracker.choose import tracker_for
from directory.view import View

SUFFIX = "o=auth"
PEOPLE = ("jane", "joe", "amy")


def person(login: str) -> str:
    return f"""
dn: uid={login},ou=people,{SUFFIX}
objectClass: inetOrgPerson
objectClass: gatepostAccount
uid: {login}
cn: {login}
sn: {login}
mail: {login}@example.com
gatepostAddress: {login}@example.com
userPassword: {login}-first-password
"""


CONTENT = f"""
dn: cn=example.com,ou=domains,{SUFFIX}
objectClass: gatepostEntry
objectClass: gatepostDomain
cn: example.com
gatepostDomainName: example.com
""" + "".join(map(person, PEOPLE))


def dn_of(login: str) -> str:
    return f"uid={login},ou=people,{SUFFIX}"


def eventually(what: Callable[[], bool], seconds: float = 10.0) -> float:
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < seconds
        time.sleep(0.002)
    return time.monotonic() - begin


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Company:
    """slapd, followed; `authenticator` reads the replica."""

    def __init__(self, folder: Path, more: str = "") -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.embedded = EmbeddedDirectory(folder / "ldap", SUFFIX, "127.0.0.1", port)
        self.embedded.create("Company", CONTENT + more, are_public=True)
        self.slapd = self.embedded.start()
        self.folder = folder
        settings = DirectorySettings(
            servers=(self.embedded.uri,),
            base=SUFFIX,
            bind=Bind(dn=f"cn=gateway,ou=services,{SUFFIX}", password_file=str(self.embedded.password_file("gateway"))),
        )
        self.settings = settings
        profile = Profile.load("native")
        self.servers = Servers(settings)
        self._tracker = tracker_for(settings, self.servers, profile)
        self._writer = ReplicaWriter(folder / "replica", profile)
        self.view = View(self._writer.reader(), profile)
        self._stop = threading.Event()
        follower = Follower(self._tracker, self._writer, lambda *args, **facts: None)
        self._thread = threading.Thread(target=follower.run, args=(self._stop,), daemon=True)
        self._thread.start()
        self.clock = Clock()
        self._made: list[Authenticator] = []
        self.state = State(folder / "state.db")
        self.authenticator = self.make(AuthSettings())
        eventually(lambda: self.view.freshness().absence_is_final(time.time()), 30)
        with self.admin() as admin:
            policy = {"pwdMaxFailure": [(ldap3.MODIFY_REPLACE, ["5"])], "pwdLockout": [(ldap3.MODIFY_REPLACE, ["TRUE"])],
                      "pwdMustChange": [(ldap3.MODIFY_REPLACE, ["TRUE"])]}  # fmt: skip
            assert admin.modify(f"cn=default,ou=policies,{SUFFIX}", policy)

    def make(self, settings: AuthSettings) -> Authenticator:
        made = Authenticator(
            self.view, BindPool(self.servers), self.state, self.folder / "auth.key", settings, now=self.clock
        )
        self._made.append(made)
        return made

    def reader(self) -> ReplicaReader:
        """Another reader of the replica: a view serves one thread."""
        return self._writer.reader()

    @contextmanager
    def admin(self) -> Iterator[ldap3.Connection]:
        """A connection that may write; `with` on ldap3's own leaves one open that was bound before."""
        connection = ldap3.Connection(
            ldap3.Server(self.embedded.uri, get_info=ldap3.NONE),
            f"cn=webadmin,ou=services,{SUFFIX}",
            self.embedded.password_file("webadmin").read_text().strip(),
            auto_bind=ldap3.AUTO_BIND_NO_TLS,
        )
        try:
            yield connection
        finally:
            connection.unbind()

    def change(self, dn: str, **values: list[str]) -> None:
        """Replace attributes and wait until the replica has it."""
        before = self.mark(dn)
        with self.admin() as admin:
            assert admin.modify(dn, {k: [(ldap3.MODIFY_REPLACE, v)] for k, v in values.items()}), admin.result
        eventually(lambda: self.mark(dn) != before)

    def mark(self, dn: str) -> str:
        entry = self.view.by_dn(dn)
        return self.view.change_mark(entry.id) if entry is not None else ""

    def failures(self, login: str) -> int:
        """How many failed binds slapd has counted against an entry."""
        with self.admin() as admin:
            admin.search(dn_of(login), "(objectClass=*)", ldap3.BASE, attributes=["pwdFailureTime"],
                         dereference_aliases=ldap3.DEREF_NEVER)  # fmt: skip
            return len(admin.response[0]["raw_attributes"].get("pwdFailureTime", ()))

    def kill(self) -> None:
        self.slapd.kill()
        self.slapd.wait()

    def start(self) -> None:
        self.slapd = self.embedded.start()

    def close(self) -> None:
        for authenticator in self._made:
            authenticator.close()
        self._stop.set()
        self._tracker.stop()
        embedded.stop(self.slapd)
        self._thread.join(10)
        self.state.close()
