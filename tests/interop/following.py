"""A private slapd and a follower in this process, for tests of trackers, fail-over and the brake."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ldap3
from free_ports import free_port

from directory import embedded
from directory.connection import Servers
from directory.embedded import EmbeddedDirectory
from directory.follow import Follower
from directory.profile import Profile
from directory.replica_writer import ReplicaWriter
from directory.settings import Bind, DirectorySettings
from directory.tracker.choose import tracker_for
from directory.view import View

SUFFIX = "o=gatepost"
DOMAIN = """dn: cn=example.com,ou=domains,o=gatepost
objectClass: gatepostEntry
objectClass: gatepostDomain
cn: example.com
gatepostDomainName: example.com
"""


def person(name: str, more: str = "") -> str:
    """`more`: further lines."""
    return f"""dn: uid={name},ou=people,{SUFFIX}
{more}objectClass: inetOrgPerson
objectClass: gatepostAccount
uid: {name}
cn: {name}
sn: {name}
mail: {name}@example.com
gatepostAddress: {name}@example.com
userPassword: secret-{name}
"""


def company(*names: str) -> str:
    return "\n".join([DOMAIN, *map(person, names)])


def eventually(what: Callable[[], object], seconds: float = 40.0) -> float:
    """Wait until `what` is true; how long that took."""
    begin = time.monotonic()
    while not what():
        assert time.monotonic() - begin < seconds, "it did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - begin


class Slapd:
    """One private slapd; `admin` writes to it."""

    def __init__(self, folder: Path, content: str) -> None:
        self.directory = EmbeddedDirectory(folder, SUFFIX, "127.0.0.1", free_port())
        self.directory.create("Test", content, are_public=True)
        self.process = self.directory.start()

    def restart(self) -> None:
        self.process = self.directory.start()

    def stop(self) -> None:
        embedded.stop(self.process)

    @contextmanager
    def admin(self) -> Iterator[ldap3.Connection]:
        connection = ldap3.Connection(
            ldap3.Server(self.directory.socket_uri.replace("%2F", "/"), get_info=ldap3.NONE),
            authentication=ldap3.SASL,
            sasl_mechanism=ldap3.EXTERNAL,
            sasl_credentials="",
            auto_bind=True,
        )
        try:
            yield connection
        finally:
            connection.unbind()

    def settings(self, *urls: str, **more: Any) -> DirectorySettings:
        return DirectorySettings(
            servers=urls or (self.directory.uri,),
            base=more.pop("base", SUFFIX),
            bind=Bind(
                dn=f"cn=gateway,ou=services,{SUFFIX}", password_file=str(self.directory.password_file("gateway"))
            ),
            **more,
        )


class Following:
    """A follower that runs; `view` reads its copy."""

    def __init__(self, folder: Path, settings: DirectorySettings) -> None:
        profile = Profile.of(settings)
        self.servers = Servers(settings)
        self.tracker = tracker_for(settings, self.servers, profile)
        self.writer = ReplicaWriter(folder, profile, scope=settings.scope)
        self.view = View(self.writer.reader(), profile)
        self.reports: list[tuple[str, dict[str, object]]] = []
        self.follower = Follower(self.tracker, self.writer, self._report)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.follower.run, args=(self._stop,))
        self._thread.start()

    def _report(self, level: int, event: str, *, exc_info: BaseException | None = None, **facts: object) -> None:
        self.reports.append((event, facts))

    def has(self, address: str) -> bool:
        return bool(self.view.owners(address))

    def is_final(self) -> bool:
        return self.view.freshness().absence_is_final(time.time())

    def stop(self) -> None:
        self._stop.set()
        self.tracker.stop()
        self._thread.join(15)
        assert not self._thread.is_alive(), "the follower does not end"
        self.writer.close()
