"""The admin socket: who may ask what, and what happens to everything that is no proper request."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directory.model import Condition, Deferred
from gateway.control import server as module
from gateway.control.client import ControlError, call
from gateway.control.protocol import MAX_LINE, Claim
from gateway.control.server import Caller, ControlServer, Right, Verb, VerbError


class Echo(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    times: int = 1


def fail(caller: Caller, wanted: Any) -> None:
    raise {"temporary": Deferred(Condition.DIRECTORY_UNAVAILABLE, "not now"), "no": VerbError("you may not", 5),
           "bug": ZeroDivisionError("bug")}[wanted.text]  # fmt: skip


VERBS = {
    "echo": Verb(Right.ACT, lambda caller, wanted: [wanted.text] * wanted.times, Echo),
    "who": Verb(Right.ACT, lambda caller, wanted: [caller.uid, caller.claim.login if caller.claim else None]),
    "serve": Verb(Right.SERVE, lambda caller, wanted: [caller.uid, caller.claim is None]),
    "stop-everything": Verb(Right.OPERATE, lambda caller, wanted: "stopped"),
    "fail": Verb(Right.ACT, fail, Echo),
}


def served(
    tmp_path: Path,
    story: Callable[[Path], Awaitable[Any]],
    others: tuple[int, ...] = (),
    services: tuple[int, ...] = (),
) -> None:
    async def main() -> None:
        path = tmp_path / "control.sock"
        server = await ControlServer(VERBS, others, services).start(path)
        try:
            await story(path)
        finally:
            server.close()

    asyncio.run(main())


async def ask(path: Path, *lines: bytes) -> list[dict[str, Any]]:
    """The answers to lines on one connection."""
    reader, writer = await asyncio.open_unix_connection(str(path), limit=2 * MAX_LINE)
    answers = []
    for line in lines:
        writer.write(line + b"\n")
        answer = await asyncio.wait_for(reader.readline(), 10)
        if not answer:
            break
        answers.append(json.loads(answer))
    writer.close()
    return answers


def test_the_operator_and_people(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        in_thread = asyncio.to_thread
        assert await in_thread(call, path, "echo", text="ä", times=2) == ["ä", "ä"]
        assert await in_thread(call, path, "who") == [os.getuid(), None]
        assert await in_thread(call, path, "who", Claim("jane", "x")) == [os.getuid(), "jane"]
        assert await in_thread(call, path, "stop-everything") == "stopped"
        for code, text, words, actor in (
            (5, "operator only", ("stop-everything", {}), Claim("jane", "x")),
            (2, "there is echo, fail, serve, stop-everything, who", ("fly", {}), None),
            (2, "text", ("echo", {"text": 5}), None),
            (2, "unknown field", ("echo", {"text": "x", "more": 1}), None),
            (4, "not now", ("fail", {"text": "temporary"}), None),
            (5, "you may not", ("fail", {"text": "no"}), None),
            (70, "internal error", ("fail", {"text": "bug"}), None),
        ):
            with pytest.raises(ControlError) as caught:
                await in_thread(call, path, words[0], actor, **words[1])
            assert (caught.value.code, text in str(caught.value)) == (code, True), caught.value

    served(tmp_path, story)


def test_other_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = b'{"id": 1, "verb": "who", "args": {}, "actor": {"login": "jane", "password": "x"}}'

    async def story(path: Path) -> None:
        monkeypatch.setattr(module, "peer_uid", lambda writer: 4321)
        for line, code in ((good, 5),):
            assert [a.get("code") for a in await ask(path, line)] == [code]

    served(tmp_path, story)

    async def web(path: Path) -> None:
        monkeypatch.setattr(module, "peer_uid", lambda writer: 4321)
        answers = await ask(
            path, good, b'{"id": 2, "verb": "who"}', b'{"id": 3, "verb": "stop-everything"}',
            b'{"id": 4, "verb": "stop-everything", "actor": {"login": "root"}}',
        )  # fmt: skip
        assert [a.get("code", 0) for a in answers] == [0, 5, 5, 5], "only for a person, never as the operator"

    served(tmp_path, web, (4321,))

    async def mail(path: Path) -> None:
        monkeypatch.setattr(module, "peer_uid", lambda writer: 4321)
        lines = [json.dumps({"id": 1, "verb": verb}).encode() for verb in ("serve", "who", "stop-everything")]
        answers = await ask(path, *lines, good, b'{"id": 5, "verb": "serve", "actor": {"login": "jane"}}')
        assert [a.get("code", 0) for a in answers] == [0, 5, 5, 5, 5], (
            "what the service's processes may, and nothing else"
        )

    served(tmp_path, mail, services=(4321,))

    async def not_the_web(path: Path) -> None:
        monkeypatch.setattr(module, "peer_uid", lambda writer: 4321)
        assert [a.get("code", 0) for a in await ask(path, b'{"id": 1, "verb": "serve"}')] == [5]

    served(tmp_path, not_the_web, (4321,))


def test_a_line_over_the_limit_ends_the_connection(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        assert await ask(path, b"x" * (MAX_LINE + 10)) == []
        too_much = json.dumps({"id": 1, "verb": "echo", "args": {"text": "x" * 1000, "times": 5000}}).encode()
        assert [a["code"] for a in await ask(path, too_much)] == [70], "an answer over the limit"
        assert (await ask(path, b'{"id": 9, "verb": "who"}'))[0]["id"] == 9

    served(tmp_path, story)


def test_too_many_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 2)

    async def story(path: Path) -> None:
        held = [await asyncio.open_unix_connection(str(path)) for _ in range(2)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_unix_connection(str(path))
        assert json.loads(await asyncio.wait_for(reader.readline(), 5))["code"] == 4
        writer.close()
        for _, one in held:
            one.close()
        await asyncio.sleep(0.05)
        assert (await ask(path, b'{"id": 9, "verb": "who"}'))[0]["id"] == 9

    served(tmp_path, story)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.one_of(
    st.binary(max_size=80),
    st.recursive(st.none() | st.integers() | st.text(max_size=8),
                 lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
                 max_leaves=6).map(lambda v: json.dumps(v).encode()),
), max_size=5))  # fmt: skip
def test_garbage_is_answered_and_nothing_more(tmp_path: Path, lines: list[bytes]) -> None:
    lines = [line.replace(b"\n", b" ") for line in lines]

    async def story(path: Path) -> None:
        answers = await ask(path, *lines, b'{"id": 9, "verb": "who"}')
        assert answers[-1] == {"id": 9, "result": [os.getuid(), None]}
        assert all(answer["code"] == 2 for answer in answers[:-1])

    served(tmp_path, story)


def test_no_service(tmp_path: Path) -> None:
    with pytest.raises(ControlError) as caught:
        call(tmp_path / "nothing.sock", "who")
    assert caught.value.code == 4
    with pytest.raises(ControlError) as caught:
        call(tmp_path / "nothing.sock", "echo", text="\ud800")
    assert caught.value.code == 2
    assert "secret" not in repr(Claim("jane", "secret"))
