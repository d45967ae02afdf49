"""What the queue must survive: poisoned files, a thousand recipients of which some fail, a directory that went away."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from queue_bench import BODY, Bench, Peer, serving

from gateway.queue.file import Target

GOOD = "good"


def _changed(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def _headed(form: bytes) -> Callable[[Path], object]:
    """Another version or size of the block in the first line."""

    def poison(octets: bytes) -> bytes:
        line, _, rest = octets.partition(b"\n")
        magic, version, size = line.split()
        return magic + b" " + form % (int(version), int(size)) + b"\n" + rest

    return _changed(poison)


def _replaced(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def poison(path: Path) -> None:
        path.unlink()
        make(path)

    return poison


POISON: dict[str, Callable[[Path], object]] = {
    "empty": _changed(lambda octets: b""),
    "rubbish": _changed(lambda octets: random.Random(1).randbytes(5000)),
    "no line end": _changed(lambda octets: b"gatepost-queue 2 " + b"1" * 100_000),
    "a block longer than the file": _headed(b"%d 9%d"),
    "a block longer than memory": _headed(b"%d 99999999999%d"),
    "a negative block": _headed(b"%d -%d"),
    "a negative version": _headed(b"-%d %d"),
    "half a block": _changed(lambda octets: octets[:60]),
    "a target that is none": _changed(lambda octets: octets.replace(b'"address"', b'"addresz"', 1)),
    "a number that is none": _changed(lambda octets: octets.replace(b'"crlf":', b'"crlf":"x', 1)),
    "half the message": _changed(lambda octets: octets[:-8]),
    "no message": _changed(lambda octets: octets[: -len(BODY)]),
    "more than the message": _changed(lambda octets: octets + b"and so on\n"),
    "a link into nowhere": _replaced(lambda path: path.symlink_to("nowhere")),
    "a link to something else": _replaced(lambda path: path.symlink_to("/etc/passwd")),
    "a pipe": _replaced(os.mkfifo),
    "a folder": _replaced(Path.mkdir),
    "no target": _changed(lambda octets: _without_targets(octets)),
}


def _without_targets(octets: bytes) -> bytes:
    line, _, rest = octets.partition(b"\n")
    size = int(line.split()[2])
    block, message = rest[:size], rest[size:]
    begin, end = block.index(b'"targets":[') + 11, block.index(b"]")
    block = block[:begin] + block[end:]
    return b"%s %d\n%s%s" % (line.rpartition(b" ")[0], len(block), block, message)


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("is_known", [False, True])
def test_a_poisoned_file_is_held_and_stops_nobody(tmp_path: Path, poison: str, is_known: bool) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"), message="bad")
    if is_known:
        bench.runner.look()
    POISON[poison](bench.folder.messages / "bad")
    bench.inject(Target("ann@example.com", "t:ann"), message=GOOD)
    for _ in range(3):
        bench.work()
        bench.now += 3600
    assert [holder for holder, _ in bench.delivered] == ["t:ann"], "the other one, and nothing of this one"
    assert bench.told == []
    assert "bad" in os.listdir(bench.folder.messages), "never dropped"
    (row,) = bench.state.targets("bad")
    assert row.state == "held" and row.reply.startswith("damaged: bad")


@pytest.mark.parametrize("name", [b"\xff\xfe", b"a\nb", b".hidden", "名".encode(), b"x" * 255])
def test_a_file_with_a_strange_name_stops_nobody(tmp_path: Path, name: bytes) -> None:
    bench = Bench(tmp_path)
    with open(os.path.join(os.fsencode(bench.folder.messages), name), "wb") as file:
        file.write(b"rubbish")
    bench.inject(Target("ann@example.com", "t:ann"), message=GOOD)
    for _ in range(2):
        bench.work()
        bench.now += 3600
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]
    assert os.listdir(os.fsencode(bench.folder.messages)) == [name]


def test_a_thousand_recipients_of_which_some_fail_have_one_outcome_each(tmp_path: Path) -> None:
    names = [f"u{number}@far.example" for number in range(1000)]
    peer = Peer()
    peer.answer_rcpt = dict.fromkeys(names[::7], "550 5.1.1 nobody") | {
        name: "451 4.2.0 later" for name in names[1::11] if name not in names[::7]
    }
    refused = {name for name, answer in peer.answer_rcpt.items() if answer.startswith("5")}
    later = set(peer.answer_rcpt) - refused
    with serving(peer) as port:
        bench = Bench(tmp_path, port)
        bench.inject(*map(Target, names))
        assert bench.work() is not None
        assert sorted(told for _, some, _ in peer.taken for told in some) == sorted(set(names) - refused - later)
        assert sorted(name for name, kind, _ in bench.told if kind == "failed") == sorted(
            name.partition("@")[0] for name in refused
        )
        peer.answer_rcpt = dict.fromkeys(refused, "250 ok")  # nobody asks again
        bench.now += 3600
        assert bench.work() is None
    assert sorted(told for _, some, _ in peer.taken for told in some) == sorted(set(names) - refused)
    assert len(bench.told) == len(refused)
    assert bench.folder.ids() == set()


def test_a_directory_that_dies_behind_the_250_fails_nobody(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    state = type(bench.directory.state)
    bench.inject(Target("ann@example.com", "t:ann"), Target("old@example.com", "t:old"), Target("gone@example.com"))
    bench.inject(Target("ann@example.com", "t:ann", list="t:gone"), message="m2")
    bench.directory.state = state(False, 0.0)  # nothing is known
    bench.work()
    bench.now += 3600
    bench.directory.state = state(True, 0.0)  # the copy is old
    bench.work()
    assert [holder for holder, _ in bench.delivered] == ["t:ann"], "who is known gets it"
    bench.now += 5 * 3600
    bench.work()
    assert {kind for _, kind, _ in bench.told} <= {"delayed"}, "temporary stays temporary"
    assert {row.state for name in ("m1", "m2") for row in bench.state.targets(name)} == {"waiting", "done"}
    bench.told.clear()
    bench.directory.state = state(True, float("inf"))
    bench.now += 3600
    assert bench.work() is None
    assert sorted((name, kind) for name, kind, _ in bench.told) == [("gone", "failed"), ("old", "failed")]
    assert [holder for holder, _ in bench.delivered] == ["t:ann", "t:ann"]
    assert bench.folder.ids() == set()
