"""S3, S8, S28: a thousand, ten thousand, fifty thousand people: what a login and a recipient cost does not grow.

The copy of the directory is the real one (LMDB), written as the agent writes it; passwords are asked of a real slapd,
which knows those who log in. A slapd with two thousand people is followed, with GATEPOST_LONG_TESTS one with fifty thousand.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import eventually
from native_entries import PROFILE

from directory import embedded
from directory.authenticator import Authenticator
from directory.authenticator_bind import BindPool
from directory.authenticator_settings import AuthSettings
from directory.connection import Servers
from directory.embedded import EmbeddedDirectory, hash_password
from directory.follow import Follower
from directory.model import Refused
from directory.raw import RawEntry
from directory.replica_writer import ReplicaWriter
from directory.settings import Bind, DirectorySettings
from directory.state import State
from directory.tracker.choose import tracker_for
from directory.view import View
from gateway.route.plan import Local
from gateway.route.router import Router

SIZES = (1_000, 10_000, 50_000)
LOGINS = 40
LOOK_UPS = 2_000
#: what fifty thousand may cost of what a thousand do; a search through all would cost fifty
FLAT = 10.0
SUFFIX = "o=gatepost"
PASSWORD = "the password of everybody"
#: people whom a real slapd has; fifty thousand take half a minute of CPU
FOLLOWED = SIZES[-1] if os.environ.get("GATEPOST_LONG_TESTS") else 2_000
DOMAIN = RawEntry("t:domain", f"cn=example.com,ou=domains,{SUFFIX}",
                  {"objectclass": [b"gatepostDomain"], "gatepostdomainname": [b"example.com"]})  # fmt: skip


def person(number: int) -> RawEntry:
    values = {
        "objectclass": [b"inetOrgPerson", b"gatepostAccount"],
        "uid": [b"u%d" % number],
        "mail": [b"u%d@example.com" % number],
        "gatepostaddress": [b"u%d@example.com" % number, b"first.last%d@example.com" % number],
    }
    return RawEntry(f"t:{number}", f"uid=u{number},ou=people,{SUFFIX}", values)


def as_ldif(number: int, password: str) -> str:
    return (
        f"dn: uid=u{number},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nobjectClass: gatepostAccount\nuid: u{number}\n"
        f"cn: u{number}\nsn: u{number}\nmail: u{number}@example.com\ngatepostAddress: u{number}@example.com\n"
        f"userPassword: {password}\n"
    )


@dataclass
class Slapd:
    """A private server that runs, and how it is reached."""

    folder: Path
    settings: DirectorySettings


@contextmanager
def slapd(folder: Path, people: range) -> Iterator[Slapd]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        directory = EmbeddedDirectory(folder / "ldap", SUFFIX, "127.0.0.1", probe.getsockname()[1])
    hashed = hash_password(PASSWORD)
    domain = f"dn: {DOMAIN.dn}\nobjectClass: gatepostEntry\nobjectClass: gatepostDomain\ncn: example.com\n"
    domain += "gatepostDomainName: example.com\n"
    directory.create("Company", "\n".join([domain, *(as_ldif(number, hashed) for number in people)]))
    process = directory.start()
    try:
        bind = Bind(dn=f"cn=gateway,ou=services,{SUFFIX}", password_file=str(directory.password_file("gateway")))
        yield Slapd(folder, DirectorySettings(servers=(directory.uri,), base=SUFFIX, bind=bind))
    finally:
        embedded.stop(process)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with slapd(tmp_path_factory.mktemp("slapd"), range(LOGINS)) as running:
        yield running


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, View]]:
    """Copies of directories of each size."""
    folder, writers = tmp_path_factory.mktemp("copies"), {}
    for size in SIZES:
        writer = writers[size] = ReplicaWriter(folder / str(size), PROFILE)
        writer.begin_refresh()
        writer.stage([DOMAIN, *map(person, range(size))])
        writer.finish_refresh(b"", by_presence=True)
        writer.proven_fresh(time.time())
    yield {size: View(writer.reader(), PROFILE) for size, writer in writers.items()}
    for writer in writers.values():
        writer.close()


def cpu(work: Callable[[int], object], numbers: list[int]) -> float:
    """Microseconds of CPU that one of them takes."""
    begin = time.process_time()
    for number in numbers:
        work(number)
    return (time.process_time() - begin) / len(numbers) * 1e6


def check_flat(what: str, costs: dict[int, float]) -> None:
    print(f"\n{what}: " + ", ".join(f"{size:,} people {cost:.0f} us" for size, cost in costs.items()))
    assert costs[SIZES[-1]] < FLAT * costs[SIZES[0]]


def test_s03_a_login_costs_the_same_whatever_the_number_of_people(
    server: Slapd, copies: dict[int, View], tmp_path: Path
) -> None:
    costs = {}
    for size, view in copies.items():
        state = State(tmp_path / f"{size}.db")
        proven = Authenticator(
            view, BindPool(Servers(server.settings)), state, tmp_path / "key", AuthSettings(grace=0.0)
        )
        assert proven.prove("u0", PASSWORD, "imap", "192.0.2.1").login.method == "bind"
        # each of them for the first time: nothing is remembered, and no verifier made that would take most of the time
        costs[size] = cpu(lambda n, p=proven: p.prove(f"u{n}", PASSWORD, "imap", "192.0.2.1"), list(range(1, LOGINS)))
        with pytest.raises(Refused):
            proven.prove("u1", "another one", "imap", "192.0.2.1")
        proven.close()
        state.close()
    check_flat("CPU of a login", costs)


def test_s08_finding_people_and_mailboxes_stays_fast(copies: dict[int, View]) -> None:
    costs = {}
    for size, view in copies.items():
        numbers = random.Random(size).sample(range(size), min(LOOK_UPS, size))
        assert view.owners(f"first.last{size - 1}@example.com")
        costs[size] = cpu(lambda n, v=view: (v.owners(f"u{n}@example.com"), v.by_login(f"u{n}")), numbers)
        assert view.owners(f"u{size}@example.com") == ()
    check_flat("CPU of an address and a login name", costs)


def test_s28_fifty_thousand_people_get_their_mail(copies: dict[int, View]) -> None:
    costs = {}
    for size, view in copies.items():
        router, now = Router(view), view.freshness().fresh_at
        numbers = random.Random(size).sample(range(size), min(LOOK_UPS, size))
        for number in numbers[:100]:
            (step,) = router.route(f"First.Last{number}@example.com", now).steps
            assert isinstance(step, Local)
            assert step.holder.id == f"t:{number}"
        with pytest.raises(Refused):
            router.route(f"u{size}@example.com", now)
        costs[size] = cpu(lambda n, r=router, t=now: r.route(f"u{n}@example.com", t), numbers)
    check_flat("CPU of a recipient", costs)


@pytest.mark.timeout(600)
def test_s28_slapd_with_many_people_is_followed(tmp_path: Path) -> None:
    with slapd(tmp_path, range(FOLLOWED)) as running:
        begin = time.monotonic()
        servers = Servers(running.settings)
        tracker = tracker_for(running.settings, servers, PROFILE)
        writer = ReplicaWriter(tmp_path / "copy", PROFILE, scope=running.settings.scope)
        view = View(writer.reader(), PROFILE)

        stop = threading.Event()
        thread = threading.Thread(target=Follower(tracker, writer, lambda *_, **__: None).run, args=(stop,))
        thread.start()
        try:
            eventually(lambda: view.freshness().absence_is_final(time.time()), 400)
            print(f"\n{FOLLOWED:,} people followed after {time.monotonic() - begin:.0f} s")
            for number in (0, 1, FOLLOWED // 2, FOLLOWED - 1):
                assert view.owners(f"u{number}@example.com")
        finally:
            stop.set()
            tracker.stop()
            thread.join(30)
            writer.close()
