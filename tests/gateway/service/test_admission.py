"""Who may connect: counts by address and account, shared between processes; who is ended when there are too many."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from directory.model import Condition, Deferred
from gateway.service.admission import Admission, Networks, group_of, is_loopback
from gateway.service.counts import Places, SharedCounts
from gateway.service.settings import LimitSettings

LIMITS = LimitSettings(connections_per_address=3, connections_per_account=2, unauthenticated_connections=10)


class Connected:
    def __init__(self, address: str, busy: bool = False) -> None:
        self.address = address
        self.places: Places | None = None
        self.account = ""
        self.busy = busy
        self.ended = False

    def evict(self) -> bool:
        return self.shed()

    def shed(self) -> bool:
        self.ended = not self.busy
        return self.ended


@pytest.fixture
def counts(tmp_path: Path) -> Iterator[SharedCounts]:
    made = SharedCounts(tmp_path / "connections", 8)
    yield made
    made.close()


def test_an_address_has_so_many_and_others_are_not_touched(counts: SharedCounts) -> None:
    admission = Admission(LIMITS, 1, counts)
    three = [Connected("192.0.2.1") for _ in range(3)]
    assert [admission.enter(each) for each in three] == [None] * 3
    assert admission.enter(Connected("192.0.2.1")) is Condition.TOO_MANY_CONNECTIONS
    assert admission.enter(Connected("192.0.2.2")) is None
    assert admission.enter(Connected("::ffff:192.0.2.1")) is Condition.TOO_MANY_CONNECTIONS
    admission.leave(three[0])
    assert admission.enter(Connected("192.0.2.1")) is None
    assert admission.enter(Connected("192.0.2.1")) is Condition.TOO_MANY_CONNECTIONS


def test_ipv6_counts_by_its_64(counts: SharedCounts) -> None:
    admission = Admission(LIMITS, 1, counts)
    assert [admission.enter(Connected(f"2001:db8::{n}")) for n in range(1, 4)] == [None] * 3
    assert admission.enter(Connected("2001:db8:0:0:ffff::1")) is Condition.TOO_MANY_CONNECTIONS
    assert admission.enter(Connected("2001:db8:0:1::1")) is None
    assert group_of("2001:db8::1%eth0") == "2001:db8::/64"


def test_exempt_networks_and_unix_sockets_are_not_counted(counts: SharedCounts) -> None:
    admission = Admission(LimitSettings(connections_per_address=3), 1, counts)
    for address in ("127.0.0.1", "::1", "local"):
        assert [admission.enter(Connected(address)) for _ in range(4)] == [None] * 4
    assert is_loopback("local") and is_loopback("127.9.9.9") and is_loopback("::1") and not is_loopback("10.0.0.1")


def test_after_the_login_the_account_counts_and_the_address_is_free(counts: SharedCounts) -> None:
    admission = Admission(LIMITS, 1, counts)
    one, two, three, other = (Connected("192.0.2.1") for _ in range(4))
    for each in (one, two, three):
        assert admission.enter(each) is None
    admission.log_in(one, "jane")
    admission.log_in(two, "jane")
    with pytest.raises(Deferred) as refused:
        admission.log_in(three, "jane")
    assert refused.value.condition is Condition.TOO_MANY_CONNECTIONS
    admission.log_in(three, "john")
    assert admission.enter(other) is None  # none without a login is left
    elsewhere = Connected("192.0.2.9")
    assert admission.enter(elsewhere) is None
    admission.log_in(elsewhere, "jane")
    admission.leave(one)
    admission.log_in(other, "jane")


def test_a_process_takes_no_more_than_it_has_descriptors_for(counts: SharedCounts) -> None:
    admission = Admission(LimitSettings(), 1, counts, most_connections=2)
    one, two = Connected("192.0.2.1"), Connected("192.0.2.2")
    assert admission.enter(one) is admission.enter(two) is None
    admission.log_in(one, "jane")
    assert admission.enter(Connected("192.0.2.3")) is Condition.OVERLOADED
    admission.leave(one)
    assert admission.enter(Connected("192.0.2.3")) is None


def test_the_one_that_was_silent_longest_gives_its_place_and_a_busy_or_proven_one_does_not(
    counts: SharedCounts,
) -> None:
    admission = Admission(LIMITS, 2, counts)  # this worker's share is 5
    made = [Connected(f"192.0.2.{n}") for n in range(5)]
    for each in made:
        assert admission.enter(each) is None
    made[0].busy = True
    admission.log_in(made[1], "jane")
    admission.seen(made[2])
    for n in (100, 101):
        assert admission.enter(Connected(f"192.0.2.{n}")) is None
    assert [each.ended for each in made] == [False, False, False, True, False]
    for each in (made[2], made[4]):
        each.busy = True
    last = Connected("192.0.2.102", busy=True)
    assert admission.enter(last) is None
    assert admission.enter(Connected("192.0.2.103", busy=True)) is None
    assert admission.enter(Connected("192.0.2.104")) is Condition.OVERLOADED


def test_processes_share_their_counts_and_a_killed_one_s_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "connections"
    program = (
        "import sys; from pathlib import Path; from gateway.service.counts import SharedCounts\n"
        "c = SharedCounts(Path(sys.argv[1]), 4); c.add(c.places('192.0.2.1'), 7); print('counted', flush=True)\n"
        "sys.stdin.read()"
    )
    first = SharedCounts(path, 4)
    places = first.places("192.0.2.1")
    first.add(places, 2)
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "counted\n"
        assert first.total(places) == 9
        assert first.total(first.places("192.0.2.2")) == 0
        other.kill()
    third = SharedCounts(path, 4)
    assert third.places("192.0.2.1") == places
    assert first.total(places) == third.total(places) == 2
    third.close()
    reshaped = SharedCounts(path, 8)  # another number of workers: a new file
    assert reshaped.total(reshaped.places("192.0.2.1")) == 0
    first.add(places, -2)
    assert first.total(places) == 0
    first.add(places, -1)
    assert first.total(places) == 0
    reshaped.close()
    first.close()


def test_without_a_usable_file_a_process_counts_for_itself(tmp_path: Path) -> None:
    counts = SharedCounts(tmp_path / "missing" / "connections", 4)
    counts.add(counts.places("x"), 1)
    assert counts.total(counts.places("x")) == 1
    counts.close()


def test_networks() -> None:
    networks = Networks(("192.0.2.0/24", "2001:db8::1"))
    assert "192.0.2.77" in networks
    assert "::ffff:192.0.2.77" in networks
    assert "2001:db8::1" in networks
    assert "2001:db8::2" not in networks
    assert "local" not in networks
    assert not Networks(())


class Guests(RuleBasedStateMachine):
    """Two workers of one host, any order of arrivals, logins and ends: the counts are those of who is there."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "connections"
        self.counts = [SharedCounts(path, 4) for _ in range(2)]
        limits = LimitSettings(connections_per_address=3, connections_per_account=2, unauthenticated_connections=12)
        self.workers = [Admission(limits, 2, counts) for counts in self.counts]
        self.here: list[tuple[int, Connected, str]] = []

    def count(self, address: str, account: str) -> int:
        return sum(1 for _, c, a in self.here if (c.address, a) == (address, account))

    def forget_the_ended(self) -> None:
        for worker, connection, _ in [each for each in self.here if each[1].ended]:
            self.workers[worker].leave(connection)
        self.here = [each for each in self.here if not each[1].ended]

    @rule(worker=st.integers(0, 1), address=st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1", "127.0.0.1"]))
    def arrive(self, worker: int, address: str) -> None:
        connection = Connected(address)
        before = self.count(address, "")
        verdict = self.workers[worker].enter(connection)
        if verdict is None:
            self.here.append((worker, connection, ""))
        else:
            assert verdict is Condition.TOO_MANY_CONNECTIONS
            assert before >= 3
            assert address != "127.0.0.1"
        self.forget_the_ended()

    @precondition(lambda self: self.here)
    @rule(data=st.data(), account=st.sampled_from(["jane", "john"]))
    def log_in(self, data: st.DataObject, account: str) -> None:
        number = data.draw(st.integers(0, len(self.here) - 1))
        worker, connection, known = self.here[number]
        if known:
            return
        full = self.count(connection.address, account) >= 2 and connection.address != "127.0.0.1"
        try:
            self.workers[worker].log_in(connection, account)
        except Deferred:
            assert full
        else:
            assert not full
            self.here[number] = (worker, connection, account)

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def log_out(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(0, len(self.here) - 1))
        worker, connection, known = self.here[number]
        if known:
            self.workers[worker].log_out(connection)
            self.here[number] = (worker, connection, "")

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        worker, connection, _ = self.here.pop(data.draw(st.integers(0, len(self.here) - 1)))
        self.workers[worker].leave(connection)

    @invariant()
    def counts_are_right(self) -> None:
        for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1"):
            there = self.counts[0].total(self.counts[0].places(group_of(address)))
            assert there == self.count(address, "")

    def teardown(self) -> None:
        for worker, connection, _ in self.here:
            self.workers[worker].leave(connection)
        assert all(counts.total(counts.places("192.0.2.1")) == 0 for counts in self.counts)
        for counts in self.counts:
            counts.close()
        self.folder.cleanup()


Guests.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestGuests = Guests.TestCase
