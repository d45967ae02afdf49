"""The front end in this process, over those sockets of the demo that a test leaves it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import RunningDemo
from visitor import TOKEN

from gateway.config.load import load
from webadmin.app import make_app
from webadmin.setup.offered import offer

SOCKETS = ("control.sock", "mail.sock", "owner.sock", "web-imap.sock", "web-submission.sock")


class Parts:
    """A front end whose other processes can be taken away, one by one."""

    def __init__(self, demo: RunningDemo, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.run = Path(demo.folder) / "run"
        for name in SOCKETS:
            self.bring_back(name)
        whole = load(Path(demo.facts["config_file"]))
        web = msgspec.structs.replace(whole.web, **settings)
        self.app = make_app(web, folder, b"k" * 32, "localhost")
        offer(self.app, msgspec.structs.replace(whole, web=web))
        self.browser = self.app.test_client()
        self._silent: list[socket.socket] = []

    def kill(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def silence(self, name: str) -> None:
        """It takes connections and says nothing, as a process that hangs."""
        self.kill(name)
        self._silent.append(socket.socket(socket.AF_UNIX))
        self._silent[-1].bind(str(self.folder / name))
        self._silent[-1].listen()

    def bring_back(self, name: str) -> None:
        self.kill(name)
        (self.folder / name).symlink_to(self.run / name)

    def post(self, path: str, **fields: str) -> Any:
        found = TOKEN.search(self.browser.get("/login").text)
        assert found is not None
        return self.browser.post(path, data={"csrf_token": found[1], **fields})

    def sign_in(self, login: str) -> None:
        assert self.post("/login", login=login, password=f"{login}-demo-password").status_code == 302

    def close(self) -> None:
        for each in self._silent:
            each.close()
        self.app.extensions["gatepost_mailboxes"].close()


@pytest.fixture
def parts(webbed: RunningDemo, tmp_path: Path) -> Iterator[Parts]:
    made = Parts(webbed, tmp_path)
    yield made
    made.close()
