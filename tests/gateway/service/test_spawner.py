"""The spawner with real programs: limits, variables, exit codes, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from directory.model import Condition, Deferred, Refused
from gateway.deliver.program import Delivery, Ran, environment, meaning
from gateway.deliver.program_settings import ProgramSettings
from gateway.service.program_client import Programs

SERVER = """
import asyncio, socket, sys
from types import SimpleNamespace
import msgspec
from gateway.deliver.program_settings import ProgramSettings
from gateway.service.spawner import Spawner
programs = msgspec.json.decode(sys.argv[2], type=dict[str, ProgramSettings])
door = socket.socket(socket.AF_UNIX)
door.bind(sys.argv[1]); door.listen(1024)
async def main():
    spawner = Spawner(SimpleNamespace(programs=programs), door)
    spawner.start()
    print("ready", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


def shell(script: str, **limits: object) -> ProgramSettings:
    return ProgramSettings(argv=("/bin/sh", "-c", script), **limits)  # type: ignore[arg-type]


PROGRAMS = {
    "copy": shell('cat; echo "$SENDER $RECIPIENT $USER $LOCAL $HOST $EXT $EXT2 $HOST2"; echo "$DTLINE$RPLINE"'),
    "variables": shell("env | sed 's/=.*//' | sort | tr '\\n' ' '; ls /proc/self/fd | tr '\\n' ' '; ulimit -c"),
    "deaf": shell("exit 0"),
    "closes": shell("exec <&-; sleep 0.3; exit 99"),
    "sleeps": shell("echo before; (sleep 30; true) & sleep 30", timeout=0.5),
    "escapes": shell("setsid sleep 34.5 & exit 0", timeout=5.0),
    "prints": shell("yes | head -c 1000000", output=1000),
    "greedy": ProgramSettings(argv=(sys.executable, "-c", "x = 'x' * (1 << 31)"), memory=256 << 20),
    "writes": shell("head -c 3000000 /dev/zero > $HOME/tmp/gatepost-too-much-$$", file_size=1000),
    "missing": ProgramSettings(argv=("/nonexistent/program",)),
    "lingers": shell("cat >/dev/null; sleep 36.5"),
    "waits": shell("sleep 35.5", timeout=30.0),
    **{f"exit{code}": shell(f"cat >/dev/null; echo because; exit {code}") for code in (0, 1, 64, 99, 100, 111)},
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    import msgspec

    folder = tmp_path_factory.mktemp("p")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder / "programs.sock"), msgspec.json.encode(PROGRAMS).decode()],
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    yield Programs(folder, PROGRAMS)
    server.terminate()
    server.wait(10)
    server.stdout.close()


def run(programs: Programs, name: str, content: bytes = b"Subject: x\n\nbody\n", **facts: str) -> Ran:
    delivery = Delivery(**{"sender": "me@far.example", "recipient": "jane+a+b@mx.example.com", "user": "jane", "extension": "a+b"} | facts)  # fmt: skip  # type: ignore[arg-type]
    return asyncio.run(programs.run(name, environment(delivery), iter([content]), len(content)))


def alive(text: str) -> bool:
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if text.encode() in (path / "cmdline").read_bytes():
                    return True
            except OSError:
                continue
    return False


def test_message_and_variables(programs: Programs) -> None:
    ran = run(programs, "copy")
    assert ran.code == 0
    assert ran.output == (
        "Subject: x\n\nbody\nme@far.example jane+a+b@mx.example.com jane jane+a+b mx.example.com a+b b mx.example\n"
        "Delivered-To: jane+a+b@mx.example.com\nReturn-Path: <me@far.example>\n\n"
    )


def test_nothing_of_the_service_is_in_it(programs: Programs) -> None:
    said = run(programs, "variables").output
    for name in ("SENDER", "RECIPIENT", "EXT4", "HOST4", "DEFAULT", "PATH"):
        assert f"{name} " in said
    assert "PYTEST" not in said
    assert said.endswith("0 1 2 3 0\n")  # 3 is the folder that ls reads


@pytest.mark.parametrize(
    ("name", "code", "trouble"),
    [
        ("deaf", 0, ""),
        ("closes", 99, ""),
        ("missing", 111, ""),
        ("exit100", 100, ""),
        ("sleeps", None, "longer than its 0.5 s"),
    ],
)
def test_how_it_ends(programs: Programs, name: str, code: int | None, trouble: str) -> None:
    begun = time.monotonic()
    ran = run(programs, name, b"x" * 3_000_000)
    assert (ran.code, ran.trouble) == (code, trouble)
    assert time.monotonic() - begun < 10
    if name == "missing":
        assert "No such file" in ran.output


def test_limits(programs: Programs) -> None:
    assert len(run(programs, "prints").output) == 1000
    assert "MemoryError" in run(programs, "greedy").output
    assert run(programs, "writes").code != 0


def test_nothing_is_left_behind(programs: Programs) -> None:
    run(programs, "sleeps")
    run(programs, "escapes")
    assert not alive("sleep\x0034.5")

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await programs.run("waits", {}, iter([b"x"]), 1)

    asyncio.run(leave())
    deadline = time.monotonic() + 10
    while alive("sleep\x0035.5"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_one_that_is_unknown_or_has_no_spawner(programs: Programs, tmp_path: Path) -> None:
    with pytest.raises(Deferred, match="no program other"):
        run(programs, "other")
    with pytest.raises(Deferred, match="No such file"):
        run(Programs(tmp_path, PROGRAMS), "deaf")


def test_many_at_once(programs: Programs) -> None:
    async def all_of_them() -> list[Ran]:
        return await asyncio.gather(*(programs.run("exit0", {}, iter([b"x\n"]), 2) for _ in range(30)))

    assert all(ran.code == 0 for ran in asyncio.run(all_of_them()))
    assert os.getpid()


@pytest.mark.parametrize("code", [0, 99])
def test_taken(code: int) -> None:
    meaning("p", Ran(code))


@pytest.mark.parametrize("code", [64, 65, 70, 76, 77, 78, 100, 112])
def test_never(code: int) -> None:
    with pytest.raises(Refused) as caught:
        meaning("p", Ran(code, "no such\nproject: nö"))
    assert caught.value.text == "no such project: n?"
    assert caught.value.condition is Condition.REFUSED_BY_PROGRAM


@pytest.mark.parametrize("ran", [Ran(1), Ran(66), Ran(75), Ran(111), Ran(None, "", "ended by signal 9")])
def test_later(ran: Ran) -> None:
    with pytest.raises(Deferred):
        meaning("p", ran)


def test_variables_end_no_line() -> None:
    found = environment(Delivery("a\nb@x.example", "c\0d@y.example", "u\r", "e"))
    assert found["SENDER"] == "ab@x.example"
    assert found["RECIPIENT"] == "cd@y.example"
    assert found["DTLINE"] == "Delivered-To: cd@y.example\n"


def test_who_asks_and_leaves_at_once_leaves_nothing(programs: Programs, tmp_path: Path) -> None:
    """The program may not have made its process group yet when it is killed."""
    path = str(programs._socket)
    for _ in range(50):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(b'{"program":"lingers","environment":{},"size":10}\n')
    deadline = time.monotonic() + 20
    while alive("cat >/dev/null; sleep 36.5\x00"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
