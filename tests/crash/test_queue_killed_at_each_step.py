"""kill -9 at every write, fsync, rename, link and unlink of what the queue does, and of the recovery from that.

Accepted = delivered + bounced + queued, at the instant of the kill and in the end; everybody has one outcome; nobody gets
a message twice but where its delivery was not written down when the kill came; a journal has what anybody got. All of it
with GATEPOST_LONG_TESTS set, else a sample with fixed seeds.
"""

from __future__ import annotations

import email
import os
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import native_entries
import pytest
import queue_child
from children import Children
from conftest import eventually
from queue_child import (
    ACTIONS,
    APPROVED,
    BOUNCED,
    COUNTED,
    DELIVERED,
    DROPPED,
    ENTRIES,
    HELD,
    HOST,
    NOTHING,
    REPLIES,
    WAITING,
    Fates,
)
from scripted_smtp import ScriptedSmtp, scripted_smtp

from directory.memory import MemorySource
from directory.view import View
from gateway.files.database import looking
from gateway.queue.file import QueueFolder, Target
from gateway.queue.list_state import bounces
from gateway.queue.settings import QueueSettings
from gateway.queue.state import DONE, FAILED, rows_of
from gateway.route.plan import Local
from gateway.route.router import Router

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "rename", "link", "unlink")
LONG = bool(os.environ.get("GATEPOST_LONG_TESTS"))
NAMES = ("rename", "link", "unlink")
MOST = 10_000 if LONG else 7  # kills of one action at calls that change names, and at others
HOUR = 3600.0
ROUTER = Router(View(MemorySource(native_entries.PROFILE, ENTRIES), native_entries.PROFILE), host_names=(HOST,))


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    started = Children(queue_child.__file__, Path(native_entries.__file__).parent)
    yield started
    started.close()


@pytest.fixture(scope="module")
def far_end() -> Iterator[ScriptedSmtp]:
    with scripted_smtp(replies=dict(REPLIES)) as host:
        yield host


@pytest.fixture
def top(tmp_path: Path) -> Iterator[Path]:
    """In memory where that is possible: what a kill leaves does not depend on the disk, and syncing takes its time."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="gatepost-", dir="/dev/shm") as name:
        yield Path(name)


@dataclass
class Seen:
    """What is known of all messages of a folder at a moment. Marks are Message-IDs without their domain."""

    served: Counter[tuple[str, str]] = field(default_factory=Counter)  # (mark, account or address)
    #: (mark of the failed message, recipient): marks of reports
    reported: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    queued: set[str] = field(default_factory=set)  # marks
    waiting: set[tuple[str, str]] = field(default_factory=set)  # (mark, address of the target)
    held: set[str] = field(default_factory=set)
    dropped: int = 0
    #: (mark, who) whose delivery queue.db does not know of
    unwritten: set[tuple[str, str]] = field(default_factory=set)


def _account(folder: str) -> str:
    """Who owns the store below this folder."""
    return folder.rpartition("_")[2]


def _mark(octets: bytes) -> str:
    found = re.search(rb"^Message-ID: <([^@>]+)@", octets, re.MULTILINE | re.IGNORECASE)
    assert found is not None, octets
    return found[1].decode()


def _note_reports(seen: Seen, octets: bytes) -> None:
    """Whose failure a message tells of, if it is a report."""
    message = email.message_from_bytes(octets)
    if message.get_content_type() != "multipart/report":
        return
    parts = message.get_payload()
    assert isinstance(parts, list)
    blocks, original = parts[1].get_payload(), parts[2].as_bytes()
    about = re.findall(rb"^Message-ID: <([^@>]+)@", original, re.MULTILINE | re.IGNORECASE)[-1].decode()
    for block in blocks[1:]:
        if block["Action"] == "failed":
            whose = about, block["Final-Recipient"].partition(";")[2].strip()
            seen.reported.setdefault(whose, set()).add(_mark(octets))


def look(folder: Path, far_end: ScriptedSmtp) -> Seen:
    eventually(lambda: far_end.open == 0)  # it reads what a killed child had sent
    seen = Seen()
    for path in (folder / "mail").glob("*/*/*/Maildir/*/*"):
        if path.parent.name in ("new", "cur"):
            octets = path.read_bytes()
            seen.served[_mark(octets), _account(path.parts[-4])] += 1
            _note_reports(seen, octets)
    own = f"@{folder.name}>".encode()
    for _, recipients, octets in list(far_end.messages):
        if own in octets:
            for recipient in recipients:
                seen.served[_mark(octets), recipient[9:-1]] += 1
    queue = QueueFolder(folder / "queue", QueueSettings())
    rows, done = rows_of(folder / "queue.db"), _done(folder)
    for message in queue.ids():
        octets = b"".join(queue.content(message))
        mark = _mark(octets)
        seen.queued.add(mark)
        _note_reports(seen, octets)
        known = {row.number: row for row in rows.get(message, ())}
        for number, target in enumerate(queue.read(message).targets):
            if number not in known or known[number].state not in (DONE, FAILED):
                seen.waiting.add((mark, target.address))
            if number not in known or known[number].state != DONE:
                seen.unwritten.update((mark, who) for key, who in _ways(target) if (message, key) not in done)
    held = QueueFolder(folder / "held", QueueSettings())
    seen.held = {_mark(b"".join(held.content(post))) for post in held.ids()}
    seen.dropped = len([n for n in os.listdir(folder / "spool" / "drop") if n[0] != "."])
    for row in bounces(folder / "lists.db", "t:cn=team"):
        seen.counted["m1", row.member] += row.count
    return seen


def _done(folder: Path) -> set[tuple[str, str]]:
    with looking(folder / "queue.db") as db:
        return set(db.execute("SELECT message, key FROM done"))


def _ways(target: Target) -> Iterator[tuple[str, str]]:
    """Key in queue.db and whom it leads to."""
    if target.is_held:
        return
    if target.account:
        steps = (ROUTER.route_account(target.account, target.address, 0.0, target.mailbox, target.extension),)
    else:
        steps = ROUTER.route(target.address, 0.0, outside=True).steps
    for step in steps:
        who = step.holder.id.partition("=")[2] if isinstance(step, Local) else step.recipient
        yield sha256(step.target.encode()).hexdigest()[:24], who


def check_now(seen: Seen, fates: Fates) -> None:
    """At any instant everything is somewhere."""
    for (mark, who), fate in fates.items():
        is_over = bool(seen.served[mark, who] or seen.reported.get((mark, who)) or seen.counted[mark, who])
        is_kept = mark in seen.queued or mark in seen.held or seen.dropped or fate in (DROPPED, NOTHING)
        assert is_over or is_kept, f"{mark} for {who} is lost"


def check_end(seen: Seen, fates: Fates) -> None:
    """In the end everybody has his one outcome."""
    assert seen.dropped == 0
    for (mark, who), fate in fates.items():
        found = {
            DELIVERED: bool(seen.served[mark, who]),
            BOUNCED: bool(seen.reported.get((mark, who))),
            COUNTED: bool(seen.counted[mark, who]),
            HELD: mark in seen.held,
            WAITING: (mark, who) in seen.waiting,
        }
        what = [name for name, is_so in found.items() if is_so]
        # the operator, whose verb was cut off, may ask again
        allowed = {NOTHING: ([],), DROPPED: ([], [WAITING]), APPROVED: ([DELIVERED], [HELD])}.get(fate, ([fate],))
        assert what in allowed, f"{mark} for {who}: {what}"


def check_journal(seen: Seen) -> None:
    """What came to anybody was copied to the journal, whatever its sender was told."""
    if any(mark == "m1" for mark, _ in seen.served):
        assert seen.served["m1.J0", "journal@far.example"], "without its copy"


def check_once(seen: Seen, before: Seen) -> int:
    """Nobody is served twice but those whose first delivery was not written down; how many."""
    assert all(count == 1 for count in seen.counted.values())
    assert all(len(reports) == 1 for reports in seen.reported.values()), seen.reported
    for whose, count in seen.served.items():
        was_lost = before.served[whose] == 1 and whose in before.unwritten
        assert count <= 1 + was_lost, f"{whose} {count} times"
    twice = {whose for whose, count in seen.served.items() if count > 1}
    for mark in {mark for mark, _ in twice}:
        # what was done before is written down before the next host is spoken to
        assert len({"@" in who for one, who in twice if one == mark}) == 1, twice
    return sum(count - 1 for count in seen.served.values())


@pytest.mark.parametrize("action", ACTIONS)
def test_killed(children: Children, far_end: ScriptedSmtp, top: Path, action: str) -> None:
    todo = ACTIONS[action]
    whole = top / f"{action}-whole"
    whole.mkdir()
    counts = children.count(CALLS, action, whole, far_end.port, told=top / "calls")
    children.act("recover", whole, far_end.port)
    done = look(whole, far_end)
    check_end(done, todo.fates)
    assert check_once(done, Seen()) == 0
    points = [(call, number) for call in CALLS for number in range(1, counts[call] + 1)]
    drawn = random.Random(action).sample(points, len(points))
    chosen = [p for p in drawn if p[0] in NAMES][:MOST] + [p for p in drawn if p[0] not in NAMES][:MOST]
    twice = 0
    for call, number in chosen:
        folder = top / f"{action}-{call}-{number}"
        folder.mkdir()
        _, was_told = children.attempt(call, number, action, folder, far_end.port)
        before = look(folder, far_end)
        if is_accepted := todo.is_accepted or was_told:
            check_now(before, todo.fates)
        # an hour later other targets are due, too
        children.act("recover", folder, far_end.port, random.Random(f"{call} {number}").choice((0.0, HOUR)))
        after = look(folder, far_end)
        if is_accepted:
            check_end(after, todo.fates)
        if "journalled" in action:
            check_journal(after)
        twice += check_once(after, before)
    print(f"{action}: killed at {len(chosen)} of {len(points)} calls {dict(counts)}, {twice} delivered twice")
