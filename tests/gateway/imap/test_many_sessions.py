"""Sessions of two workers do at random what sessions do; each believes what it is told and must be right."""

from __future__ import annotations

import random
import re

import pytest
from two_sessions import Client, World

pytest_plugins = ["session_fixtures"]

_EXPUNGE = re.compile(r"^\* (\d+) EXPUNGE$")
_EXISTS = re.compile(r"^\* (\d+) EXISTS$")
_FETCH = re.compile(r"^\* (\d+) FETCH \((?:UID (\d+) ?)?(?:FLAGS \(([^)]*)\))?")


class Believer:
    """A mail program: the UIDs by number and the flags by UID, from untagged responses alone."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.uids: list[int] = []
        self.flags: dict[int, frozenset[str]] = {}
        self.say("SELECT INBOX")

    def say(self, command: str, *, octets: bytes = b"") -> str:
        said = self.client.send(octets) if octets else self.client.say(command)
        known = len(self.uids)
        keeps_numbers = command.startswith(("FETCH", "STORE", "COPY", "SEARCH"))
        for line in said.splitlines():
            if match := _EXPUNGE.match(line):
                assert not keeps_numbers, line
                number = int(match[1])
                del self.uids[number - 1]
                known -= number <= known
            elif match := _EXISTS.match(line):
                assert int(match[1]) >= len(self.uids)
                self.uids += [0] * (int(match[1]) - len(self.uids))
            elif match := _FETCH.match(line):
                number = int(match[1])
                if match[2] and self.uids[number - 1] == 0:
                    self.uids[number - 1] = int(match[2])
                uid = self.uids[number - 1]
                assert not match[2] or uid == int(match[2]), line
                if match[3] is not None and uid:
                    self.flags[uid] = frozenset(match[3].split())
        assert " BAD " not in said, (command, said)
        if len(self.uids) > known:
            self.say(f"FETCH {known + 1}:* (UID FLAGS)")
        return said

    def act(self, dice: random.Random) -> None:
        count = len(self.uids)
        some = str(dice.randint(1, count)) if count else ""
        if count and dice.random() < 0.3:
            first, last = sorted((dice.randint(1, count), dice.randint(1, count)))
            some = f"{first}:{last}"
        flag = dice.choice([r"\Seen", r"\Deleted", r"\Flagged", "work", "Work", "play"])
        mode = dice.choice(["+FLAGS", "-FLAGS", "FLAGS"])
        by_uid = f"UID STORE {dice.choice(self.uids)}:* {mode} ({flag})" if count else ""
        choices = ["NOOP", "EXPUNGE", "append", *([f"STORE {some} {mode} ({flag})", f"FETCH {some} (UID FLAGS)"] * 3)]
        choices += [f"COPY {some} INBOX", f"MOVE {some} Trash", by_uid, f"UID SEARCH {some}", "CLOSE"]
        command = dice.choice(choices if count else ["NOOP", "append"])
        if command == "append":
            self.say(command, octets=b"T APPEND INBOX (new) {5+}\r\na\r\nb\n\r\n")
        elif command == "CLOSE":
            self.say(command)
            self.uids, self.flags = [], {}
            self.say("SELECT INBOX")
        else:
            said = self.say(command)
            if command.startswith("STORE") and "OK" in said and mode == "+FLAGS":
                first, _, last = some.partition(":")
                for uid in self.uids[int(first) - 1 : int(last or first)]:
                    assert flag.lower() in {each.lower() for each in self.flags[uid]} or "EXPUNGEISSUED" in said


@pytest.mark.parametrize("seed", range(6))
def test_everybody_is_right(world: World, seed: int) -> None:
    dice = random.Random(seed)
    workers = [world.worker(), world.worker()]
    if seed % 2:
        for worker in workers:
            worker.stores._on_change = None  # no hint ever comes
    for _ in range(6):
        workers[0].deliver()
    believers = [Believer(worker.session()) for worker in (*workers, workers[0])]
    for _ in range(80):
        dice.choice(believers).act(dice)
    truth = workers[0].stores.repository.messages("t:1", 1)
    for believer in believers:
        believer.say("NOOP")
        assert believer.uids == [row.uid for row in truth]
        told = {uid: believer.flags[uid] for uid in believer.uids}
        believer.say("FETCH 1:* (UID FLAGS)") if truth else None
        assert told == {uid: believer.flags[uid] for uid in believer.uids}
        assert [len(told[row.uid]) for row in truth] == [len(row.flags) + len(row.keywords.split()) for row in truth]
