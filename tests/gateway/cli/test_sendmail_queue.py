"""`sendmail -q`: what it asks of the running service, and how it ends without one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.cli.sendmail import main
from gateway.control.server import ControlServer, Right, Verb, VerbError
from gateway.service.mail_control import MAIL_SOCKET
from gateway.service.queue_verbs import Change

GOOD = """state_dir: {dir}/state
run_dir: {dir}
directory: {{servers: ["ldap://127.0.0.1:1"], base: "o=x", bind: {{dn: "cn=x", password_file: {dir}/password}}}}
store: {{volumes: {{main: {{path: {dir}}}}}}}
"""


@pytest.mark.parametrize(
    ("trouble", "code"), [(None, 0), (VerbError("busy", 4), 75), (VerbError("only root", 5), 77)]
)  # fmt: skip
def test_everything_is_tried_now(tmp_path: Path, trouble: VerbError | None, code: int) -> None:
    path = tmp_path / "gatepost.yaml"
    path.write_text(GOOD.format(dir=tmp_path))
    asked: list[Change] = []

    def change(caller: object, wanted: Change) -> dict[str, int]:
        asked.append(wanted)
        if trouble is not None:
            raise trouble
        return {"targets": 1}

    async def story() -> int:
        server = await ControlServer({"queue-change": Verb(Right.OPERATE, change, Change)}).start(
            tmp_path / MAIL_SOCKET
        )
        try:
            return await asyncio.to_thread(main, ["-C", str(path), "-q"])
        finally:
            server.close()

    assert asyncio.run(story()) == code
    assert asked == [Change("retry")]


def test_without_a_service_it_is_for_later(tmp_path: Path) -> None:
    path = tmp_path / "gatepost.yaml"
    path.write_text(GOOD.format(dir=tmp_path))
    assert main(["-C", str(path), "-q"]) == 75
