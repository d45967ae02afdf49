"""The demo: one folder with a private slapd, the example company, and Gatepost serving it on loopback."""

from __future__ import annotations

import os
import re
import signal
import socket
import string
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from directory import embedded
from directory.data import data_folder
from directory.embedded import EmbeddedDirectory, SlapdFailed, SlapdMissing
from gateway.config.load import load
from gateway.observe import log
from gateway.service.master import Master, PortTaken

HOST = "127.0.0.1"
SUFFIX = "o=gatepost"
PORTS = {"mx": 2525, "imap": 2143, "ldap": 3890}


class DemoProblem(Exception):
    """The demo cannot start; `exit_code` as the contract has it (3 port taken, 69 slapd missing)."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Demo:
    """A demo below `folder`."""

    def __init__(self, folder: Path, port_offset: int) -> None:
        self.folder = folder
        self.json_path = folder / "demo.json"
        self.pid_path = folder / "gatepost.pid"
        self.config_path = folder / "gatepost.yaml"
        self._ports = {name: port + port_offset for name, port in PORTS.items()}
        self._directory = EmbeddedDirectory(folder / "ldap", SUFFIX, HOST, self._ports["ldap"])

    def is_live(self) -> bool:
        """True when a master of this folder runs and has written demo.json."""
        try:
            pid = int(self.pid_path.read_text())
            os.kill(pid, 0)
            return bool(msgspec.json.decode(self.json_path.read_bytes())["pids"]["master"] == pid)
        except (OSError, ValueError, KeyError):
            return False

    def prepare(self) -> None:
        """Make folder, directory and configuration where they are missing. Raises DemoProblem."""
        try:
            embedded.find_slapd()
        except SlapdMissing as problem:
            raise DemoProblem(str(problem), 69) from None
        for name, port in self._ports.items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError as error:
                    raise DemoProblem(f"port {port} ({name}): {error.strerror}; try --port-offset", 3) from None
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.json_path.unlink(missing_ok=True)
        (self.folder / "mail").mkdir(exist_ok=True, mode=0o700)
        try:
            if not self._directory.exists():
                content = string.Template((data_folder("ldif") / "example.ldif").read_text("utf-8"))
                self._directory.create("Example Company", content.substitute(suffix=SUFFIX))
        except (SlapdFailed, SlapdMissing) as problem:
            raise DemoProblem(str(problem), 70) from None
        self.config_path.write_text(yaml.safe_dump(self._configuration(), sort_keys=False, allow_unicode=True))

    def _configuration(self) -> dict[str, Any]:
        return {
            "hostname": "localhost",
            "state_dir": str(self.folder / "state"),
            "run_dir": str(self.folder / "run"),
            "listen": {name: [{"address": HOST, "port": self._ports[name]}] for name in ("mx", "imap")},
            "directory": {
                "servers": [self._directory.uri],
                "base": SUFFIX,
                "profile": "native",
                "bind": {
                    "dn": f"cn=gateway,ou=services,{SUFFIX}",
                    "password_file": str(self._directory.password_file("gateway")),
                },
            },
            "store": {"volumes": {"main": {"path": str(self.folder / "mail")}}},
            "auth": {"plaintext": "loopback"},
        }

    def serve(self, on_ready: Callable[[], None]) -> int:
        """Run until SIGTERM. Raises DemoProblem."""
        log.start("master")
        try:
            slapd = self._directory.start()
        except SlapdFailed as problem:
            raise DemoProblem(str(problem), 70) from None
        try:
            try:
                master = Master(load(self.config_path))
            except PortTaken as problem:
                raise DemoProblem(str(problem), 3) from None
            self.pid_path.write_text(f"{os.getpid()}\n")

            def ready(pids: dict[str, int]) -> None:
                self._write_json({"master": os.getpid(), "slapd": slapd.pid, **pids})
                on_ready()
                sys.stdout.flush()

            return master.run(ready)
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            embedded.stop(slapd)
            self.pid_path.unlink(missing_ok=True)

    def _write_json(self, pids: dict[str, int]) -> None:
        facts = {
            "version": 1,
            "host": HOST,
            "ports": self._ports,
            "pid_file": str(self.pid_path),
            "pids": pids,
            "config_file": str(self.config_path),
            "state_dir": str(self.folder / "state"),
            "domains": re.findall(r"^gatepostDomainName: (.+)$", self._example(), re.MULTILINE),
            "directory": {
                "uri": self._directory.uri,
                "base": SUFFIX,
                "admin_dn": f"cn=webadmin,ou=services,{SUFFIX}",
                "admin_password": self._directory.password_file("webadmin").read_text().strip(),
            },
            "accounts": self._accounts(),
        }
        temporary = self.json_path.with_suffix(".new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")
        temporary.rename(self.json_path)

    @staticmethod
    def _example() -> str:
        return (data_folder("ldif") / "example.ldif").read_text("utf-8")

    def _accounts(self) -> list[dict[str, Any]]:
        accounts = []
        for block in self._example().split("\n\n"):
            if "objectClass: gatepostAccount" not in block:
                continue
            values: dict[str, list[str]] = {}
            for line in block.splitlines():
                name, _, value = line.partition(": ")
                values.setdefault(name, []).append(value)
            accounts.append(
                {
                    "kind": "person",
                    "login": values["uid"][0],
                    "password": values["userPassword"][0],
                    "addresses": values["gatepostAddress"],
                    "status": values.get("gatepostStatus", ["active"])[0],
                }
            )
        return accounts

    def json_text(self) -> str:
        """demo.json as it is."""
        return self.json_path.read_text(encoding="utf-8").rstrip()

    def table(self) -> str:
        """Ports, accounts and a line to try, for a person."""
        facts = msgspec.json.decode(self.json_path.read_bytes())
        lines = ["", "  ".join(f"{name} {port}" for name, port in facts["ports"].items()), ""]
        lines += [f"  {a['addresses'][0]:<28} {a['password']:<26} {a['status']}" for a in facts["accounts"]]
        first, ports = facts["accounts"][0], facts["ports"]
        lines += [
            "",
            f"swaks --server {HOST}:{ports['mx']} --to {first['addresses'][0]} --from me@elsewhere.example",
            f"curl -s imap://{HOST}:{ports['imap']}/INBOX -u {first['login']}:{first['password']} -X 'FETCH 1:* (UID RFC822.SIZE)'",
        ]
        return "\n".join(lines)
