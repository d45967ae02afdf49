"""A client that comes back with what it knew is told what has changed since, and nothing else (RFC 7162)."""

from __future__ import annotations

import random
import re

import pytest
from two_sessions import Client, World

from gateway.imap.sets import lines_of, runs_of
from gateway.imap.vanished import EARLIER, merged

pytest_plugins = ["session_fixtures"]

_FETCH = re.compile(r"^\* (\d+) FETCH \(UID (\d+) FLAGS \(([^)]*)\) MODSEQ \((\d+)\)\)$")
_GONE = re.compile(r"^\* VANISHED (?:\(EARLIER\) )?([\d:,]+)$")


def uids_of(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        low, _, high = part.partition(":")
        found.update(range(int(low), int(high or low) + 1))
    return found


class Cache:
    """What a mail program keeps between two connections."""

    def __init__(self) -> None:
        self.validity = 0
        self.modseq = 0
        self.flags: dict[int, frozenset[str]] = {}

    def connect(self, world: World, worker: int, known: str = "") -> Client:
        client = world.workers[worker].session("ENABLE QRESYNC")
        resync = f" (QRESYNC ({self.validity} {self.modseq}{known}))" if self.modseq else ""
        said = client.say("SELECT INBOX" + resync)
        validity = re.search(r"UIDVALIDITY (\d+)", said)
        assert validity is not None
        self.validity = int(validity[1])
        if not resync:
            self.hear(client.say("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)"))
        self.hear(said)
        return client

    def hear(self, said: str) -> None:
        assert "EXPUNGE\r\n" not in said
        for line in said.splitlines():
            if match := _GONE.match(line):
                for uid in uids_of(match[1]):
                    self.flags.pop(uid, None)
            elif match := _FETCH.match(line):
                self.flags[int(match[2])] = frozenset(match[3].split())
                self.modseq = max(self.modseq, int(match[4]))
            elif match := re.search(r"HIGHESTMODSEQ (\d+)", line):
                self.modseq = max(self.modseq, int(match[1]))


def truth(client: Client) -> dict[int, frozenset[str]]:
    client.say("NOOP")
    found = re.findall(r"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)", client.say("UID FETCH 1:* (FLAGS)"))
    return {int(uid): frozenset(flags.split()) for uid, flags in found}


def test_what_is_told_at_select(pair: tuple[Client, Client], world: World) -> None:
    one, _ = pair
    validity = one.say("SELECT INBOX").split("UIDVALIDITY ")[1].split("]")[0]
    modseq = one.say("STATUS INBOX (HIGHESTMODSEQ)").split("HIGHESTMODSEQ ")[1].split(")")[0]
    one.say(r"STORE 1 +FLAGS (\Flagged)")
    one.say(r"STORE 2 +FLAGS (\Deleted)")
    one.say("EXPUNGE")
    two = world.workers[0].session()
    assert two.say(f"SELECT INBOX (QRESYNC ({validity} {modseq}))").startswith("T BAD ENABLE QRESYNC comes first")
    assert two.say("ENABLE QRESYNC QRESYNC") == "* ENABLED QRESYNC\r\nT OK ENABLE completed\r\n"
    said = two.say(f"SELECT INBOX (QRESYNC ({validity} {modseq}))")
    assert "* VANISHED (EARLIER) 2\r\n* 1 FETCH (UID 1 FLAGS (\\Flagged) MODSEQ (" in said
    assert "VANISHED" not in two.say(f"SELECT INBOX (QRESYNC ({validity} {modseq} 1,3:5))")
    assert "FETCH" not in two.say(f"SELECT INBOX (CONDSTORE QRESYNC ({validity} {modseq} 2:3 (1:2 1:2)))")
    assert "VANISHED" not in two.say(f"SELECT INBOX (QRESYNC ({int(validity) + 1} {modseq}))")
    for wrong in (
        "(QRESYNC)",
        "(QRESYNC (0 1))",
        "(QRESYNC (1))",
        "(QRESYNC (1 1 1 1))",
        "(QRESYNC (1 1) QRESYNC (1 1))",
    ):
        assert two.say(f"SELECT INBOX {wrong}").startswith("T BAD"), wrong


def test_vanished_while_selected(pair: tuple[Client, Client], world: World) -> None:
    one, two = pair
    two.say("ENABLE QRESYNC")
    one.say(r"STORE 1:2 +FLAGS.SILENT (\Deleted)")
    one.say("EXPUNGE")
    assert "* VANISHED 1:2\r\n" in two.say("NOOP")
    assert two.say("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)").startswith(
        "* VANISHED (EARLIER) 1:2\r\n* 1 FETCH (UID 3"
    )
    assert "VANISHED" not in two.say("UID FETCH 3 (FLAGS) (CHANGEDSINCE 1 VANISHED)")
    assert two.say("FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)").startswith("T BAD")
    assert two.say("UID FETCH 1 (FLAGS) (VANISHED)").startswith("T BAD")
    assert one.say("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)").startswith("T BAD ENABLE QRESYNC")
    said = two.say(r"STORE 1 +FLAGS (\Deleted)")
    assert said.startswith("* 1 FETCH (UID 3 FLAGS (\\Deleted) MODSEQ (")
    said = two.say("EXPUNGE")
    modseq = two.say("STATUS INBOX (HIGHESTMODSEQ)").split("HIGHESTMODSEQ ")[1].split(")")[0]
    assert said == f"* VANISHED 3\r\nT OK [HIGHESTMODSEQ {modseq}] expunged\r\n"


def test_where_nobody_knows_any_more_what_was_expunged(pair: tuple[Client, Client], world: World) -> None:
    one, _ = pair
    for _ in range(4):
        world.workers[0].deliver()
    one.say("NOOP")
    one.say(r"UID STORE 2:4,6 +FLAGS.SILENT (\Deleted)")
    one.say("NOOP")
    one.say("EXPUNGE")
    repository = world.workers[0].stores.repository
    repository.files_gone(world.account.id, 1, [2, 3, 4, 6])
    assert repository.prune(world.account.id, 1, 9e9, 0) == 4
    cache = Cache()
    cache.validity, cache.modseq = int(one.say("SELECT INBOX").split("UIDVALIDITY ")[1].split("]")[0]), 2
    two = world.workers[0].session("ENABLE QRESYNC")
    resync = f"SELECT INBOX (QRESYNC ({cache.validity} 2"
    assert "* VANISHED (EARLIER) 2:4,6\r\n" in two.say(resync + "))")
    assert "* VANISHED (EARLIER) 3:4\r\n" in two.say(resync + " 3:5))")
    assert "* VANISHED (EARLIER) 2:4,6,8:9\r\n" not in two.say(resync + " 1:9))")


@pytest.mark.parametrize("seed", range(4))
def test_a_cache_is_right_after_every_connection(world: World, seed: int) -> None:
    dice = random.Random(seed)
    world.worker()
    world.worker()
    for _ in range(8):
        world.workers[0].deliver()
    other = world.workers[1].session("SELECT INBOX")
    cache = Cache()
    client = cache.connect(world, 0)
    for turn in range(8):
        for _ in range(dice.randint(1, 5)):
            who = dice.choice([client, other])
            line = dice.choice(
                [
                    f"UID STORE {dice.randint(1, 12)}:{dice.randint(1, 12)} +FLAGS ({dice.choice(['a', 'b'])})",
                    f"UID STORE {dice.randint(1, 20)} +FLAGS (\\Deleted)",
                    "EXPUNGE",
                    "NOOP",
                    f"UID MOVE {dice.randint(1, 20)} Archive",
                ]
            )
            if dice.random() < 0.3:
                world.workers[1].deliver()
            said = who.say(line)
            if who is client:
                cache.hear(said)
                if " EXISTS" in said:  # as mail programs do, before they believe a MODSEQ
                    cache.hear(client.say(f"UID FETCH {max(cache.flags, default=0) + 1}:* (FLAGS) (CHANGEDSINCE 1)"))
        if dice.random() < 0.5:
            cache.hear(client.say("NOOP"))
            new = f"UID FETCH {max(cache.flags, default=0) + 1}:* (FLAGS)"
            cache.hear(client.say(new + f" (CHANGEDSINCE {1})"))
            assert cache.flags == truth(client), f"turn {turn}"
        else:
            known = f" 1:{max(cache.flags)}" if cache.flags and dice.random() < 0.3 else ""
            client = cache.connect(world, dice.randint(0, 1), known)
            if known:
                cache.hear(client.say(f"UID FETCH {max(cache.flags, default=0) + 1}:* (FLAGS) (CHANGEDSINCE 1)"))
            assert cache.flags == truth(client), f"turn {turn}"


def test_lines_of_bounded_length() -> None:
    lines = list(lines_of(EARLIER, runs_of(range(1, 5_001, 2))))
    assert len(lines) == 3
    assert all(line.count(b",") < 1000 for line in lines)
    assert list(lines_of(b"* VANISHED ", runs_of([1, 2, 3, 7, 9, 10]))) == [b"* VANISHED 1:3,7,9:10\r\n"]
    assert merged(((5, 2), (6, 8), (10, 0)), 12) == [(2, 8), (10, 12)]


def test_what_has_vanished_is_told_although_the_index_was_made_anew(world: World) -> None:
    worker = world.worker()
    for _ in range(5):
        worker.deliver()
    one, two = worker.session("SELECT INBOX"), world.worker().session("ENABLE QRESYNC")
    said = two.say("SELECT INBOX")
    validity, modseq = said.split("UIDVALIDITY ")[1].split("]")[0], said.split("HIGHESTMODSEQ ")[1].split("]")[0]
    two.say("UNSELECT")
    one.say("UID STORE 2:3 +FLAGS.SILENT (\\Deleted)")
    one.say("EXPUNGE")
    worker.stores.rebuild(world.account.id)
    assert "* VANISHED (EARLIER) 2:3" in two.say(f"SELECT INBOX (QRESYNC ({validity} {modseq} 1:5))")
    assert "EXPUNGE" not in one.say("NOOP")
    assert one.say("SEARCH ALL").startswith("* SEARCH 1 2 3\r\n")
