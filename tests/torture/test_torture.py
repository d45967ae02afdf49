"""Twenty sessions of four workers, senders on two hosts and POP3 do at random what they may; each must be told the truth.

Sequence numbers, EXPUNGE and EXISTS as RFC 9051 5.5 and 7.5.1 allow; UIDs ascend and stand for one message for ever;
MODSEQ and HIGHESTMODSEQ never fall; QRESYNC, APPENDUID and COPYUID are true; at the end every session knows what is
there, and nothing has been lost or doubled. Once in peace, once while workers are killed, once while indexes are rebuilt.

Short here; with GATEPOST_LONG_TESTS set a minute each. `GATEPOST_TORTURE_SEED` chooses the dice, which are printed: the
moves of each player are the same then, what the kernel makes of them is not.
"""

from __future__ import annotations

import asyncio
import imaplib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from conftest import RunningDemo, eventually
from delivery_host import DeliveryHost
from in_process import run
from ledger import Ledger, Violation
from observers import Collector, Sender
from player import Player, everybody
from talker import Who
from wire import Ended

from gateway.service import overview

LONG = bool(os.environ.get("GATEPOST_LONG_TESTS"))
SECONDS = 60.0 if LONG else 2.5
SEED = int(os.environ.get("GATEPOST_TORTURE_SEED", "7"))
WORKERS = 4
LONGER = 60.0  # seconds that are added where little was done
VERBS = ("FETCH", "STORE", "MOVE", "COPY", "EXPUNGE", "SEARCH", "APPEND", "IDLE", "SELECT")
NEWS = "(personal (MessageNew MessageExpunge FlagChange))"
SHARED = "Shared/helpdesk@example.com"


def workers(demo: RunningDemo) -> list[int]:
    shown = overview.read(demo.folder / "run")
    return [child.pid for child in shown.children if child.name.startswith("worker-")] if shown is not None else []


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningDemo, DeliveryHost]]:
    """A demo with four workers, and a host beside it that only delivers."""
    folder = tmp_path_factory.mktemp("torture")
    demo = RunningDemo(folder / "demo")
    try:
        with (demo.folder / "gatepost.yaml").open("a") as file:
            file.write(f"workers: {WORKERS}\n")
        config = demo.facts["config_file"]
        subprocess.run([sys.executable, "-m", "gateway", "reload", "--config", config], check=True, timeout=60)
        eventually(lambda: len(workers(demo)) == WORKERS, 60)
        other = DeliveryHost(demo, folder / "other")
        try:
            yield demo, other
        finally:
            other.stop()
    finally:
        demo.stop()


class Company:
    """Everybody who plays, on mailboxes that are new for each play but for the INBOX and the shared store."""

    def __init__(self, demo: RunningDemo, other: DeliveryHost, seed: int) -> None:
        self.demo, self.seed = demo, seed
        self.run = f"t{seed}x{time.time_ns() // 1_000_000 % 100_000_000}"
        self.own = ("INBOX", f"{self.run}a", f"{self.run}b")
        self.shared = (SHARED, f"{SHARED}/{self.run}s")
        self.passing = tuple(f"{self.run}p{number}" for number in range(3))
        self.ledger = Ledger({*self.own, *self.shared})
        self.players: list[Player] = []
        for enables, number in (("", 4), ("CONDSTORE", 4), ("QRESYNC", 6)):
            for _ in range(number):
                self.add("jane", self.own, self.passing, enables)
        self.add(
            "jane",
            self.own,
            self.passing,
            "",
            f"STATUS (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange)) {NEWS}",
        )
        self.add(
            "jane",
            self.own,
            self.passing,
            "QRESYNC",
            f"STATUS (selected-delayed (MessageNew MessageExpunge FlagChange)) {NEWS}",
        )
        for login in ("sophie", "bjoern"):
            for enables in ("QRESYNC", ""):
                self.add(login, self.shared, (), enables)
        self.sender = Sender(f"{self.run}-mail", "jane@example.com", [demo.port("mx"), other.port])

    def add(
        self, login: str, lasting: tuple[str, ...], passing: tuple[str, ...], enables: str, notifies: str = ""
    ) -> None:
        name = f"{self.run}-{len(self.players)}"
        who = Who(login, f"{login}-demo-password", lasting, passing, enables, notifies)
        dice = random.Random(f"{self.seed}.{len(self.players)}")
        self.players.append(Player(name, who, self.ledger, self.demo.port("imap"), dice))

    async def furnish(self) -> None:
        """The mailboxes that stay, and what is in them already."""
        for player, names in ((self.players[0], self.own), (self.players[-1], self.shared)):
            await player.connect()
            for name in names:
                if self.run in name:
                    await player.command(f"CREATE {name}")
                await player.select(name)
                assert player.state is not None
                player.state.box.doomed.update(player.state.uids)

    async def kill(self, is_over: Callable[[], bool]) -> None:
        """End workers in the midst of it, one after the other."""
        dice = random.Random(self.seed)
        while not is_over():
            await asyncio.sleep(0.5 + dice.random())
            found = workers(self.demo)
            if len(found) == WORKERS:
                try:
                    os.kill(dice.choice(found), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.ledger.done["killed"] += 1

    async def rebuild(self, is_over: Callable[[], bool]) -> None:
        """Make the index of a store anew, again and again."""
        while not is_over():
            for login in ("jane", "helpdesk@example.com"):
                code, said = await asyncio.to_thread(run, self.demo, "store", "rebuild", login, "--json")
                # what `check` finds behind it, others may be about just then
                assert code in (0, 1), said
                self.ledger.done["rebuilt"] += 1
            await asyncio.sleep(0.2)

    async def play(self, trouble: str) -> None:
        try:
            await self.furnish()
            await self.act(trouble)
            await self.check()
        finally:
            for player in self.players:
                player.drop()

    async def act(self, trouble: str) -> None:
        """Everybody at once."""
        inbox = next(box for box in self.ledger.mailboxes.values() if box.name == "INBOX")
        login = ("jane", "jane-demo-password")
        collectors = [
            Collector(self.ledger, inbox, login, self.demo.port("pop3"), random.Random(number)) for number in range(2)
        ]
        loop = asyncio.get_running_loop()
        begun = loop.time()

        def is_over() -> bool:
            """Also on a host that is busy with other things as much is done as says something."""
            seconds = loop.time() - begun
            return seconds > SECONDS and (self.has_done_enough(trouble) or seconds > SECONDS + LONGER)

        others = [self.sender.play(is_over), *(each.play(is_over) for each in collectors)]
        if trouble:
            others.append({"killed": self.kill, "rebuilt": self.rebuild}[trouble](is_over))
        await everybody([*(player.play(is_over) for player in self.players), *others])
        self.ledger.done["POP3 sessions"] = sum(each.looks for each in collectors)
        self.ledger.maybe.update(self.sender.attempts)

    def has_done_enough(self, trouble: str) -> bool:
        done = self.ledger.done
        return all(done[f"{verb} OK"] + done[f"UID {verb} OK"] >= 5 for verb in VERBS) and (
            not trouble or done[trouble]
        )

    async def check(self) -> None:
        """All are quiet now."""
        for player in self.players:
            try:
                await self.ask(player)
            except Ended:  # a connection to a worker that was killed at the end
                player.drop()
                await self.ask(player)
        await self.weigh()

    async def ask(self, player: Player) -> None:
        try:
            await player.check()
            if player.who.notifies:
                await player.check_news()
        except (Violation, TimeoutError) as error:
            raise player.told(error) from error

    async def weigh(self) -> None:
        """Read every mailbox that stays afresh: nothing lost, nothing doubled."""
        for who, names in ((self.players[0].who, self.own), (self.players[-1].who, self.shared)):
            reader = Player("reader", who, self.ledger, self.demo.port("imap"), random.Random(0))
            await reader.connect()
            for name in names:
                there = await reader.contents(name)
                assert reader.state is not None
                box = reader.state.box
                self.ledger.check(box, there, self.run.encode())
                if name == "INBOX":
                    self.sender.check(self.ledger, box, there)
            reader.drop()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("trouble", ["", "killed", "rebuilt"], ids=["in peace", "workers killed", "indexes rebuilt"])
def test_everybody_is_told_the_truth(four: tuple[RunningDemo, DeliveryHost], trouble: str) -> None:
    print(f"GATEPOST_TORTURE_SEED={SEED}")
    company = Company(*four, SEED)
    asyncio.run(company.play(trouble))
    done = company.ledger.done
    print(f"{sum(done.values())} things done: {dict(done)}; {len(company.sender.taken)} messages sent")
    assert company.has_done_enough(trouble), f"nearly nothing was done: {dict(done)}"


def test_the_index_is_removed_under_the_service(four: tuple[RunningDemo, DeliveryHost]) -> None:
    """Workers notice, end, and their successors make it again of the files: the same UIDs, flags as noted last."""
    demo, _ = four
    account = next(each for each in demo.facts["accounts"] if each["login"] == "emma")

    def state() -> tuple[bytes, set[bytes]]:
        with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=60) as client:
            client.login(account["login"], account["password"])
            assert client.select("Lost")[0] == "OK"
            return client.response("UIDVALIDITY")[1][0], set(client.uid("FETCH", "1:*", "(FLAGS)")[1])

    def is_back() -> bool:
        try:
            return state() == before
        except (OSError, AssertionError, imaplib.IMAP4.error):
            return False  # workers end, or begin

    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=60) as client:
        client.login(account["login"], account["password"])
        assert client.create("Lost")[0] == "OK"
        for number in range(6):
            kept = client.append(
                "Lost", ("", "(\\Seen)", "(\\Flagged one)")[number % 3], None, b"Subject: x\r\n\r\nx\r\n"
            )
            assert kept[0] == "OK"
        client.select("Lost")
        client.uid("STORE", "2,4", "+FLAGS.SILENT", "\\Deleted")
        client.expunge()
    assert run(demo, "store", "rebuild", "emma")[0] == 0  # which notes flags beside the messages
    before = state()
    assert len(before[1]) == 4
    old = set(workers(demo))
    shutil.rmtree(demo.folder / "state" / "index")
    eventually(lambda: len(workers(demo)) == WORKERS and not old & set(workers(demo)), 60)
    eventually(is_back, 60)
    with imaplib.IMAP4("127.0.0.1", demo.port("imap"), timeout=60) as client:
        client.login(account["login"], account["password"])
        kind, said = client.append("Lost", "", None, b"Subject: y\r\n\r\ny\r\n")
        assert kind == "OK", said
        assert int(said[0].split(b"]")[0].split()[-1]) > 6
