"""The queue file: read back, of every version, full, and killed at each step of an injection."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from queue_bench import BODY, Bench

from directory.model import Deferred
from gateway.queue.file import VERSION, Damaged, Newer, QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings


def test_file_reads_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"), Target("ü@far.example", return_path="l-bounces@example.com"))
    envelope = bench.folder.read("m1")
    assert envelope.targets[1] == Target("ü@far.example", "", "l-bounces@example.com")
    assert b"".join(bench.folder.content("m1")) == BODY
    for content in (b"", b"gatepost-queue 2 3\n{}", b"gatepost-queue 1 99999999999\n", b"gatepost-queue 1 2\n{}\n"):
        (bench.folder.messages / "bad").write_bytes(content)
        with pytest.raises(Damaged):
            bench.folder.read("bad")
    bench.work()  # a damaged file stops nothing and stays
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]
    assert bench.folder.ids() == {"bad", "m1"}


def test_a_new_field_of_the_envelope_block_is_a_new_version() -> None:
    fields = (*QueuedEnvelope.__struct_fields__, *Target.__struct_fields__)
    known = {
        2: "id return_path arrival targets size crlf parameters login vouched double_bounce not_before is_ours is_junk"
        " address account return_path notify orcpt original mailbox extension list is_held",
        3: "id return_path arrival targets size crlf parameters login vouched double_bounce not_before is_ours is_junk"
        " owner address account return_path notify orcpt original mailbox extension list is_held",
        4: "id return_path arrival targets size crlf parameters login vouched double_bounce not_before is_ours is_junk"
        " owner journal_of address account return_path notify orcpt original mailbox extension list is_held",
    }
    assert " ".join(fields) == known[VERSION], "raise VERSION in queue/file.py and write its fields down here"


def test_a_file_of_the_first_version_is_delivered_and_one_of_a_later_version_waits_for_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.inject(Target("ann@example.com", "t:ann"))
    file = bench.folder.messages / "m1"
    content = file.read_bytes()
    file.write_bytes(content.replace(b"gatepost-queue 4 ", b"gatepost-queue 5 ", 1))
    with pytest.raises(Newer, match="newer version"):
        bench.folder.read("m1")
    bench.work()  # not known yet
    assert bench.state.targets("m1") == []
    file.write_bytes(content)
    bench.runner.look()
    file.write_bytes(content.replace(b"gatepost-queue 4 ", b"gatepost-queue 5 ", 1))
    bench.work()  # known from before the older version was started
    (row,) = bench.state.targets("m1")
    assert (row.state, bench.delivered) == ("waiting", [])
    file.write_bytes(content.replace(b"gatepost-queue 4 ", b"gatepost-queue 1 ", 1))
    bench.now += bench.settings.retry_max
    bench.work()
    assert [holder for holder, _ in bench.delivered] == ["t:ann"]


def test_a_full_queue_defers_with_452(tmp_path: Path) -> None:
    folder = QueueFolder(tmp_path, QueueSettings(max_messages=0))
    with pytest.raises(Deferred) as caught:
        folder.inject(QueuedEnvelope("m", "", 0.0, (), 0, 0), [b""])
    assert caught.value.condition.code == 452


INJECT = """
import sys
from pathlib import Path
from gateway.queue.file import QueuedEnvelope, QueueFolder, Target
from gateway.queue.settings import QueueSettings
folder = QueueFolder(Path(sys.argv[1]), QueueSettings())
folder.inject(QueuedEnvelope("m1", "", 0.0, (Target("a@b.example"),), 4, 5), [b"abc\\n"])
print("accepted", flush=True)
"""


@pytest.mark.parametrize("call", ["openat", "write", "fsync", "rename"])
def test_killed_at_each_step_of_an_injection(tmp_path: Path, call: str) -> None:
    """A whole file or none; a whole one whenever it was acknowledged."""
    for number in range(1, 12):
        target = tmp_path / f"{call}{number}"
        QueueFolder(target, QueueSettings())
        path = ["-P", str(target / "tmp" / "m1"), "-P", str(target / "message")]
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", *path, "-e", f"trace={call}",
             "-e", f"inject={call}:signal=KILL:when={number}", sys.executable, "-c", INJECT, str(target)],
            capture_output=True, text=True, timeout=60, cwd=os.getcwd(),
        )  # fmt: skip
        folder = QueueFolder(target, QueueSettings())
        for message in folder.ids():
            assert folder.read(message).targets == (Target("a@b.example"),)
            assert b"".join(folder.content(message)) == b"abc\n"
        if "accepted" in done.stdout:
            assert folder.ids() == {"m1"}
            break
        assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), done.stderr
    else:
        pytest.fail("never got through")
