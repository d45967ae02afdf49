"""The sender's own mail that waits: seen and taken back by him alone, and never while it is being delivered."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually
from other_user import as_user
from queue_bench import BODY, Bench

from directory.model import Condition, Refused
from directory.port import Login
from gateway.control.client import ControlError, call
from gateway.control.protocol import Claim
from gateway.control.server import MAX_OF_A_USER, ControlServer
from gateway.queue.file import QueuedEnvelope, Target
from gateway.queue.settings import QueueSettings
from gateway.service.owner_verbs import OWNER_SOCKET, OwnerVerbs


async def prove(login: str, password: str, address: str, near: bool) -> Login:
    if password != f"{login}-password":
        raise Refused(Condition.AUTHENTICATION_FAILED, "wrong")
    return Login(f"t:{login}", "bind")


def put(bench: Bench, message: str, owner: str, *targets: Target, not_before: float = 0.0) -> None:
    size = len(BODY), len(BODY) + BODY.count(b"\n")
    envelope = QueuedEnvelope(
        message, "a@example.com", bench.now, targets, *size, owner=owner, not_before=not_before
    )  # fmt: skip
    bench.folder.inject(envelope, [BODY])


def served(bench: Bench, folder: Path, story: Callable[[Path], Awaitable[None]]) -> None:
    async def main() -> None:
        verbs = OwnerVerbs(
            bench.runner, bench.folder, bench.state, prove, frozenset({0}), asyncio.get_running_loop()
        ).verbs()  # fmt: skip
        server = await ControlServer(verbs, everybody=True).start(folder / OWNER_SOCKET)
        try:
            await story(folder / OWNER_SOCKET)
        finally:
            server.close()

    asyncio.run(main())


async def ask(path: Path, verb: str, login: str, **arguments: Any) -> Any:
    return await asyncio.to_thread(call, path, verb, Claim(login, f"{login}-password"), **arguments)


def test_everybody_sees_and_drops_his_own_and_nothing_else(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    later = bench.now + 3600
    put(bench, "m1", "t:ann", Target("x@far.example"), Target("kim@example.com", "t:kim"), not_before=later)
    put(bench, "m2", "t:kim", Target("y@far.example"), not_before=later)
    put(bench, "m3", "", Target("z@far.example"), not_before=later)
    bench.runner.look()

    async def story(path: Path) -> None:
        (shown,) = await ask(path, "own-queue-list", "ann")
        assert (shown["id"], shown["not_before"], shown["recipients"]) == ("m1", later, 2)
        for message in ("m2", "m3", "nothing", "../queue.db", ""):
            with pytest.raises(ControlError, match="of yours waits") as caught:
                await ask(path, "own-queue-drop", "ann", message=message)
            assert caught.value.code == 1
        with pytest.raises(ControlError, match="authentication failed") as caught:
            await asyncio.to_thread(call, path, "own-queue-list", Claim("ann", "guess"))
        assert caught.value.code == 5
        with pytest.raises(ControlError, match="a login is needed"):
            await asyncio.to_thread(call, path, "own-queue-list", Claim(token="gps_x"))
        assert await ask(path, "own-queue-drop", "ann", message="m1") == {"message": "m1", "targets": 2, "delivered": 0}
        assert await ask(path, "own-queue-list", "ann") == []

    served(bench, tmp_path, story)
    assert bench.folder.ids() == {"m2", "m3"}
    bench.now += 7200
    bench.work()
    assert bench.delivered == []


def test_where_a_recipient_leads_is_not_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    secret = [Target(f"{name}@private.example", original="team@example.com") for name in ("a", "b")]
    put(bench, "m1", "t:ann", *secret, Target("x@far.example"))
    bench.runner.look()
    rows = bench.state.claim("m1", bench.now)
    bench.state.record("m1", [type(row)(row.number, "waiting", 1, bench.now, "450 a@private.example") for row in rows])

    async def story(path: Path) -> None:
        (shown,) = await ask(path, "own-queue-list", "ann")
        assert [(each["address"], each["reply"]) for each in shown["targets"]] == [
            ("team@example.com", ""),
            ("x@far.example", "450 a@private.example"),
        ]

    served(bench, tmp_path, story)


def test_a_message_of_which_some_are_delivered(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    put(bench, "m1", "t:ann", Target("ann@example.com", "t:ann"), Target("x@far.example"))
    put(bench, "m2", "t:ann", Target("ann@example.com", "t:ann"))
    bench.runner.look()
    for message in ("m1", "m2"):
        row, *_ = bench.state.claim(message, bench.now)
        bench.state.record(message, [type(row)(row.number, "done", 1, bench.now, "")])

    async def story(path: Path) -> None:
        assert await ask(path, "own-queue-drop", "ann", message="m1") == {"message": "m1", "targets": 1, "delivered": 1}
        with pytest.raises(ControlError, match="too late"):
            await ask(path, "own-queue-drop", "ann", message="m2")

    served(bench, tmp_path, story)
    assert bench.folder.ids() == {"m2"}


def test_it_is_either_taken_back_or_delivered(tmp_path: Path) -> None:
    """Drops in any order while the runner works through the same messages, a few at a time."""
    chance, messages = random.Random(7), [f"m{number}" for number in range(60)]
    bench = Bench(tmp_path)
    deliver = bench.deliver

    def slowly(*arguments: Any) -> Any:
        time.sleep(chance.random() * 0.02)
        return deliver(*arguments)

    bench.deliver = slowly  # type: ignore[method-assign]
    bench.settings = QueueSettings(active_max=3)
    bench.restart()
    taken_back: set[str] = set()
    late: set[str] = set()

    async def drop(path: Path, message: str, pause: float = 0.0) -> None:
        await asyncio.sleep(pause)
        try:
            await ask(path, "own-queue-drop", "ann", message=message)
            taken_back.add(message)
        except ControlError as error:
            assert error.code == 1, error
            late.add(message)

    async def story(path: Path) -> None:
        first, *others, last = messages
        for message in messages:
            put(bench, message, "t:ann", Target(f"{message}@example.com", "t:ann"))
        await drop(path, first)
        stop = asyncio.Event()
        working = asyncio.ensure_future(bench.runner.serve(stop))
        bench.runner.wake(messages)
        chance.shuffle(others)
        await asyncio.gather(*(drop(path, message, chance.random() * 0.5) for message in others))
        await asyncio.to_thread(eventually, lambda: not bench.folder.ids())
        await drop(path, last)
        stop.set()
        await working

    served(bench, tmp_path, story)
    print(f"{len(taken_back)} taken back, {len(late)} too late")
    assert taken_back | late == set(messages) and not taken_back & late
    assert taken_back and late
    assert len(bench.delivered) == len(late)


def many(path: Path, number: int) -> list[Any]:
    """What so many connections at once are answered, and another verb on the first."""
    files = []
    for _ in range(number):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(path))
        files.append(sock.makefile("rw"))
        print('{"id":1,"verb":"own-queue-list"}', file=files[-1], flush=True)
    answers = [json.loads(file.readline()) for file in files]
    print('{"id":1,"verb":"queue-drop","args":{"message":"m2"}}', file=files[0], flush=True)
    last = json.loads(files[0].readline())["error"]
    return [*(answer.get("error") or [each["id"] for each in answer["result"]] for answer in answers), last]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can ask as other users of the host: `sudo make test` runs this")
def test_users_of_the_host_ask_for_their_own_uid(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    put(bench, "m1", "uid 2001", Target("x@far.example"), not_before=bench.now + 60)
    put(bench, "m2", "uid 2002", Target("x@far.example"), not_before=bench.now + 60)
    bench.runner.look()
    with tempfile.TemporaryDirectory() as name:  # pytest's own folder is closed to others
        Path(name).chmod(0o755)

        async def story(path: Path) -> None:
            answers = await asyncio.to_thread(as_user, 2001, lambda: many(path, MAX_OF_A_USER + 1))
            assert answers[:-2] == [["m1"]] * MAX_OF_A_USER
            assert "too many connections" in answers[-2] and "unknown verb" in answers[-1]
            assert await asyncio.to_thread(as_user, 2003, lambda: many(path, 1)[0]) == []

        served(bench, Path(name), story)
