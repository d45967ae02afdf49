"""A client of the laboratory that runs Gatepost, with its state on a disk of its own and the stores on NFS."""

from __future__ import annotations

import shlex
import socket
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from laboratory import MOUNT, Laboratory

ROOT = Path(__file__).parents[2]
GATEPOST = f"cd {shlex.quote(str(ROOT))}; PYTHONDONTWRITEBYTECODE=1 {shlex.quote(sys.executable)} -m gateway"
MX, IMAP = 25, 143
DEADLINE = 5.0  # of a file call
START_SECONDS = 120.0  # one of these kernels takes a hundred times as long for a fault of memory
_PERSON = """dn: uid={login},ou=people,o=company
objectClass: inetOrgPerson
uid: {login}
sn: {login}
cn: {login}
mail: {login}@example.com
userPassword: {password}
entryUUID: 00000000-0000-4000-8000-{number:012d}

"""


def people(count: int) -> list[dict[str, Any]]:
    """Persons as demo.json tells them."""
    return [
        {"login": f"person{number}", "password": f"secret{number}", "addresses": [f"person{number}@example.com"]}
        for number in range(count)
    ]


def write_directory(path: Path, company: list[dict[str, Any]]) -> None:
    path.write_text("".join(_PERSON.format(number=number, **person) for number, person in enumerate(company)))


class MailHost:
    """Gatepost in one guest."""

    def __init__(self, laboratory: Laboratory, name: str, directory: Path, **settings: Any) -> None:
        self._laboratory, self._name = laboratory, name
        self.address = laboratory[name].address
        listen: dict[str, Any] = {"mx": [{"address": "0.0.0.0", "port": MX, "tls": "none"}]}
        if settings.get("role") != "deliver":
            listen["imap"] = [{"address": "0.0.0.0", "port": IMAP, "tls": "none"}]
        self._configuration = directory.parent / f"{name}.yaml"
        self._configuration.write_text(
            yaml.safe_dump({
                "hostname": f"{name}.example.com",
                "state_dir": "/mnt/state",
                "run_dir": "/run/gatepost",
                "workers": 1,
                "processes": {"heartbeat": 20, "start_timeout": START_SECONDS},
                "directory": {"servers": [f"file://{directory}"], "profile": "ldif", "domains": ["example.com"]},
                "store": {"volumes": {"main": {"path": MOUNT}}, "deadline": DEADLINE},
                "auth": {"plaintext": "always"},
                "listen": listen,
                **settings,
            })
        )  # fmt: skip

    def run(self, words: str, seconds: float = 30.0) -> str:
        """What a verb prints. Raises GuestProblem unless it ends with 0."""
        return self._laboratory[self._name].run(f"{GATEPOST} {words} --config {self._configuration}", seconds)

    @property
    def mx(self) -> tuple[str, int]:
        return self.address, MX

    def cut(self) -> None:
        """Its power is off."""
        self._laboratory[self._name].cut()

    def boot(self) -> None:
        """Its power is on again, and it serves. For the main thread."""
        self._laboratory.start(self._name)
        self.start()
        self.wait()

    def start(self) -> None:
        """Begin to start the service; `wait` for it."""
        self._laboratory[self._name].run(
            f"({GATEPOST} serve --config {self._configuration} >>/mnt/log 2>&1 </dev/null &)"
        )

    def wait(self) -> None:
        """It serves, and takes mail for the people of the directory, when this returns."""
        deadline = time.monotonic() + START_SECONDS
        while not self._laboratory.network.within(self._takes_mail):
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.2)

    def _takes_mail(self) -> bool:
        try:
            with socket.create_connection((self.address, MX), 5) as connection:
                replies = connection.makefile("rb")
                for words in (b"", b"HELO me\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<person0@example.com>\r\n"):
                    connection.sendall(words)
                    if not replies.readline().startswith(b"2"):
                        return False
                return True
        except OSError:
            return False

    def log(self) -> str:
        """The last of what the service logged, or that there is no asking."""
        guest = self._laboratory[self._name]
        return guest.run("tail -n 50 /mnt/log") if guest.is_on else f"{self._name} is off"
