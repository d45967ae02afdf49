"""Thunderbird without a window, driven by Marionette (Mozilla's remote protocol): scripts run in the program itself."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conftest import eventually

THUNDERBIRD = shutil.which("thunderbird")
#: it asks nobody and nothing by itself, and shows no page of its own
QUIET: dict[str, Any] = {
    "app.update.enabled": False, "datareporting.policy.dataSubmissionEnabled": False, "extensions.update.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True, "mail.rights.version": 1, "mailnews.start_page.enabled": False,
    "app.donation.eoy.version.viewed": 999, "toolkit.telemetry.enabled": False, "mailnews.auto_config_url": "",
    "dom.security.https_first": False, "dom.security.https_only_mode": False,
}  # fmt: skip
_ASYNC = "const done = arguments[arguments.length - 1]; (async () => {%s})().then(done, (error) => done(`FAILED ${error} ${error?.stack}`));"


class Thunderbird:
    """One with a profile of its own below `folder`, until closed."""

    def __init__(self, folder: Path, preferences: Mapping[str, Any]) -> None:
        assert THUNDERBIRD is not None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        wanted = {**QUIET, **preferences, "marionette.port": port}
        profile = folder / "profile"
        profile.mkdir(parents=True)
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in wanted.items()]
        (profile / "user.js").write_text("".join(lines))
        arguments = ["--headless", "--no-remote", "--marionette", "--remote-allow-system-access", "--profile"]
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [THUNDERBIRD, *arguments, str(profile)],
            env={**os.environ, "HOME": str(folder), "MOZ_HEADLESS": "1", "MOZ_CRASHREPORTER_DISABLE": "1"},
            stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._number = 0
        eventually(lambda: self._connected(port), 120)
        self._read()  # its greeting
        self._ask("WebDriver:NewSession", capabilities={"alwaysMatch": {}})
        self._ask("WebDriver:SetTimeouts", script=120_000)
        self._ask("Marionette:SetContext", value="chrome")

    def _connected(self, port: int) -> bool:
        assert self._process.poll() is None, Path(self._log.name).read_text(errors="replace")
        try:
            self._socket = socket.create_connection(("127.0.0.1", port), timeout=180)
        except OSError:
            return False
        self._file = self._socket.makefile("rb")
        return True

    def _read(self) -> Any:
        digits = b""
        while (octet := self._file.read(1)) not in (b":", b""):
            digits += octet
        return json.loads(self._file.read(int(digits)))

    def _ask(self, command: str, **arguments: Any) -> Any:
        self._number += 1
        octets = json.dumps([0, self._number, command, arguments]).encode()
        self._socket.sendall(b"%d:%b" % (len(octets), octets))
        _, _, problem, found = self._read()
        assert problem is None, problem
        return found

    def run(self, script: str, *arguments: Any) -> Any:
        """What an asynchronous script returns."""
        found = self._ask("WebDriver:ExecuteAsyncScript", script=_ASYNC % script, args=list(arguments))["value"]
        assert not str(found).startswith("FAILED"), found
        return found

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(60)
        self._file.close()
        self._socket.close()
        self._log.close()
