"""Over real NFS: two hosts, one store. Hosts and the server lose their power or their network, nothing is lost.

A server and two clients with kernels of their own (user-mode Linux) in a network of their own. Where that is
not possible the run says why. Short here; with GATEPOST_LONG_TESTS set five rounds of it.
"""

from __future__ import annotations

import compileall
import os
import re
import time
from collections.abc import Iterator

import pytest
from laboratory import MOUNT, Laboratory, NoLaboratory
from mail_host import GATEPOST, IMAP, ROOT, MailHost, people, write_directory
from senders import Senders, check

pytestmark = [pytest.mark.xdist_group("nfs"), pytest.mark.timeout(600)]
LONG = bool(os.environ.get("GATEPOST_LONG_TESTS"))
ROUNDS = 5 if LONG else 1
STEP = 100 if LONG else 12  # messages between two cuts
PEOPLE = people(4)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    try:
        laboratory = Laboratory(tmp_path_factory.mktemp("nfs"), "one", "two")
    except NoLaboratory as reason:
        pytest.skip(
            f"no NFS laboratory ({reason}): it wants root, /dev/net/tun, iproute2, e2fsprogs and apt-get with a Debian mirror"
        )
    for package in ("gateway", "directory"):  # a guest cannot write it and would compile at each start
        compileall.compile_dir(ROOT / package, quiet=2)
    yield laboratory
    laboratory.close()


@pytest.fixture(scope="module")
def hosts(laboratory: Laboratory) -> list[MailHost]:
    """Both serve: the first has the index, the second only delivers."""
    directory = laboratory.folder / "company.ldif"
    write_directory(directory, PEOPLE)
    hosts = [MailHost(laboratory, "one", directory), MailHost(laboratory, "two", directory, role="deliver")]
    for host in hosts:
        host.start()
    print(hosts[0].run("store prepare main", 60))
    for host in hosts:
        host.wait()
    return hosts


def no_locks(laboratory: Laboratory, name: str) -> int:
    """How many files a client has opened over NFS; it never called for a lock."""
    calls = laboratory.calls(name)
    assert {call: calls[call] for call in ("LOCK", "LOCKT", "LOCKU")} == {"LOCK": 0, "LOCKT": 0, "LOCKU": 0}
    return calls["OPEN"]


class Story:
    """Senders at work, told with the time; with what the hosts logged when it ends badly."""

    def __init__(self, laboratory: Laboratory, hosts: list[MailHost]) -> None:
        self._began = time.monotonic()
        self.senders = Senders([person["addresses"][0] for person in PEOPLE], laboratory.network.dial, moves_on=True)
        self.senders.hosts = [host.mx for host in hosts]
        self._laboratory, self._hosts = laboratory, hosts
        self._seen: dict[str, dict[int, bytes]] = {person["login"]: {} for person in PEOPLE}

    def __enter__(self) -> Story:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            for host in self._hosts:
                print(host.log())

    def tell(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {len(self.senders.accepted):5} accepted  {what}")

    def begin(self) -> None:
        self._threads = self.senders.send(range(20_000))

    def go_on(self, messages: int = STEP) -> None:
        """Until so many more are accepted."""
        wanted, deadline = len(self.senders.accepted) + messages, time.monotonic() + 120
        while len(self.senders.accepted) < wanted:
            assert any(thread.is_alive() for thread in self._threads) and time.monotonic() < deadline
            time.sleep(0.005)

    def end(self, host: MailHost) -> None:
        """All are sent, and there for a client of the host with the index, each once for each 250."""
        self.senders.stop()
        for thread in self._threads:
            thread.join()
        self.tell("all sent")
        assert self.senders.given_up == []
        address = (host.address, IMAP)
        for _ in range(2):
            self._laboratory.network.within(lambda: check(address, PEOPLE, self.senders, self._seen))
            self.tell("all read")
        print(f"{sum(self.senders.attempts.values())} attempts")


def test_hosts_and_server_lose_their_power(laboratory: Laboratory, hosts: list[MailHost]) -> None:
    one, two = hosts
    with Story(laboratory, hosts) as story:
        story.begin()
        for _ in range(ROUNDS):
            story.go_on()
            one.cut()
            story.tell("the host with the index is off")
            story.go_on()
            one.boot()
            story.tell("it is on again")
            story.go_on()
            laboratory["server"].cut()
            story.tell("the NFS server is off")
            laboratory.start("server")
            story.tell("it is on again")
            story.go_on()
            files = no_locks(laboratory, "two")
            two.cut()
            story.tell(f"the host without an index is off, it had opened {files} files")
            story.go_on()
            if LONG:
                two.boot()
                story.tell("it is on again")
        story.end(one)
        assert no_locks(laboratory, "one")


def test_storage_test_while_the_server_loses_its_power(laboratory: Laboratory) -> None:
    guest = laboratory["one"]
    deliver = f"{GATEPOST} storage-test deliver {MOUNT} --log /mnt/noted"
    guest.run(f"rm -f /mnt/noted; ({deliver} >/run/delivered 2>&1 </dev/null & echo $! >/run/pid)")
    noted = "$(cat /mnt/noted 2>/dev/null | wc -l)"
    guest.run(f"until [ {noted} -gt 20 ]; do sleep 0.1; done", 120)
    laboratory["server"].cut()
    laboratory.start("server")
    guest.run(f"before={noted}; until [ {noted} -gt $((before + 20)) ]; do sleep 0.1; done", 120)
    guest.run("kill -INT $(cat /run/pid); while [ -d /proc/$(cat /run/pid) ]; do sleep 0.1; done")
    delivered = guest.run("cat /run/delivered")
    checked = guest.run(f"{GATEPOST} storage-test check {MOUNT} --log /mnt/noted", 120)
    print(delivered, checked, sep="")
    assert re.search(rf"^{MOUNT}: nfs4 \(.*vers=4\.2.*,hard,.*\)$", delivered, re.MULTILINE)
    assert "warning" not in delivered
    assert re.search(r"^\d+ messages in ", delivered, re.MULTILINE)
    assert re.search(r"^\d{2,} noted, 0 lost, 0 damaged, ", checked, re.MULTILINE)
    assert no_locks(laboratory, "one")
