"""The demo: one folder with a private slapd, the example company, and Gatepost serving it on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import smtplib
import socket
import string
import subprocess
import sys
import traceback
from collections.abc import Callable
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any, NoReturn

import idna
import msgspec
import yaml
from rich.console import Console
from rich.table import Table

from directory import embedded
from directory.data import data_folder
from directory.embedded import EmbeddedDirectory, SlapdFailed, SlapdMissing
from gateway.config.load import load
from gateway.control.client import call
from gateway.observe import log
from gateway.service import demo_facts, overview
from gateway.service.demo_certificate import make_certificates
from gateway.service.demo_lines import lines, write_mbsyncrc
from gateway.service.master import AlreadyRuns, Master, PortTaken, WebFrontEnd
from gateway.store.markers import prepare_volume

HOST = "127.0.0.1"
SUFFIX = "o=gatepost"
#: services in the order of the table, with the default port
PORTS = {
    "mx": 2525,
    "submission": 2587,
    "submissions": 2465,
    "lmtp": 2424,
    "imap": 2143,
    "imaps": 2993,
    "pop3": 2110,
    "pop3s": 2995,
    "web": 8080,
    "ldap": 3890,
    "sink": 2626,
}
TLS = {"submissions": "implicit", "imaps": "implicit", "pop3s": "implicit", "lmtp": "none"}
NOT_OURS = ("ldap", "sink", "web")
#: names of the login form's fields, for scripts
LOGIN_FIELDS = {"login": "login", "password": "password", "csrf_token": "csrf_token"}
TOKEN_SECONDS = 30 * 86_400
WELCOMED = ("jane@example.com", "wangwei@example.com", "jmueller@example.com")


class DemoProblem(Exception):
    """The demo cannot start; `exit_code` as the contract has it (3 port taken, 69 slapd missing)."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def _readable(address: str) -> str:
    """`address` with its domain in the person's own script."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{idna.decode(domain)}"


def _tell(pipe: int, work: Callable[[], dict[str, Any]]) -> NoReturn:
    """The life of a forked process: write what `work` finds, and end."""
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        with os.fdopen(pipe, "wb") as file:
            file.write(msgspec.json.encode(work()))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


class Demo:
    """A demo below `folder`."""

    def __init__(self, folder: Path, port_offset: int, web: WebFrontEnd | None = None) -> None:
        self.folder, self._web = folder, web
        self.json_path = folder / "demo.json"
        self.pid_path = folder / "gatepost.pid"
        self.config_path = folder / "gatepost.yaml"
        self._ports = {name: port + port_offset for name, port in PORTS.items() if name != "web" or web is not None}
        self._directory = EmbeddedDirectory(folder / "ldap", SUFFIX, HOST, self._ports["ldap"])
        self._is_new = False

    def is_live(self) -> bool:
        """True when a master of this folder runs and has written demo.json."""
        try:
            pid = int(self.pid_path.read_text())
            # the lock tells more than the pid: one that was killed is listed until its parent notices
            shown = overview.read(self.folder / "run")
            return shown is not None and bool(msgspec.json.decode(self.json_path.read_bytes())["pids"]["master"] == pid)
        except (OSError, ValueError, KeyError):
            return False

    @staticmethod
    def example() -> str:
        """The example company as LDIF."""
        return string.Template((data_folder("ldif") / "example.ldif").read_text("utf-8")).substitute(suffix=SUFFIX)

    def prepare(self) -> None:
        """Make folder, directory, certificates and configuration where they are missing. Raises DemoProblem."""
        try:
            embedded.find_slapd()
        except SlapdMissing as problem:
            raise DemoProblem(str(problem), 69) from None
        try:
            self._directory.wait_for_leftover()
        except SlapdFailed as problem:
            raise DemoProblem(str(problem), 70) from None
        for name, port in self._ports.items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except (OSError, OverflowError) as error:
                    reason = getattr(error, "strerror", None) or error
                    raise DemoProblem(f"port {port} ({name}): {reason}; try another --port-offset", 3) from None
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.json_path.unlink(missing_ok=True)
        (self.folder / "mail").mkdir(exist_ok=True, mode=0o700)
        prepare_volume(self.folder / "mail")
        try:
            if not self._directory.exists():
                self._is_new = True
                self._directory.create("Example Company", self.example(), are_public=True)
        except (SlapdFailed, SlapdMissing) as problem:
            raise DemoProblem(str(problem), 70) from None
        tls = self.folder / "tls"
        if not (tls / "key.pem").exists():
            make_certificates(tls, ["example.com", "example.org", "xn--fsqu00a.example"])
        text = yaml.safe_dump(self._configuration(), sort_keys=False, allow_unicode=True)
        self.config_path.write_text(text, encoding="utf-8")

    def _configuration(self) -> dict[str, Any]:
        return {
            "hostname": "localhost",
            "state_dir": str(self.folder / "state"),
            "run_dir": str(self.folder / "run"),
            "listen": {
                name: [{"address": HOST, "port": port, "tls": TLS.get(name, "starttls")}]
                for name, port in self._ports.items()
                if name not in NOT_OURS
            },
            "directory": {
                "servers": [self._directory.uri],
                "base": SUFFIX,
                "profile": "native",
                "bind": {
                    "dn": f"cn=gateway,ou=services,{SUFFIX}",
                    "password_file": str(self._directory.password_file("gateway")),
                },
                "write_bind": {
                    "dn": f"cn=webadmin,ou=services,{SUFFIX}",
                    "password_file": str(self._directory.password_file("webadmin")),
                },
                "rights": {
                    "administrators": [f"cn=admins,ou=groups,{SUFFIX}"],
                    "helpdesk": [f"uid=henry,ou=people,{SUFFIX}"],
                },
            },
            "store": {"volumes": {"main": {"path": str(self.folder / "mail")}}, "keep_expunged": "14d"},
            "tls": {"cert": str(self.folder / "tls" / "cert.pem"), "key": str(self.folder / "tls" / "key.pem")},
            "auth": {"plaintext": "loopback"},
            "relay": {"smarthost": f"{HOST}:{self._ports['sink']}"},
            # for `gatepost selftest program`
            "programs": {"selftest": {"argv": ["/bin/sh", "-c", "id -u; id -G; exit 100"]}},
            "lists": {"own_from": "never"},  # there is no outside whose DNS could be asked
            **(
                {"web": {"listen": f"{HOST}:{self._ports['web']}", "url": self._web_url(), "sign_up": ["example.com"]}}
                if self._web
                else {}
            ),
        }

    def _web_facts(self) -> dict[str, Any]:
        """The address, a token of the administrator's for the JSON interface (a new one at each start), the login form."""
        socket = self.folder / "run" / "control.sock"
        call(socket, "program-token-revoke", login="admin", id="all")
        made = call(socket, "program-token-add", login="admin", name="demo", scope="write", seconds=TOKEN_SECONDS)
        return {"url": self._web_url(), "api_token": made["token"], "login_fields": LOGIN_FIELDS}

    def _web_url(self) -> str:
        return f"http://localhost:{self._ports['web']}"

    def serve(self, on_ready: Callable[[], None]) -> int:
        """Run until SIGTERM or SIGINT. Raises DemoProblem."""
        log.start("master")
        try:
            slapd = self._directory.start()
        except SlapdFailed as problem:
            raise DemoProblem(str(problem), 70) from None
        sink = subprocess.Popen(
            [sys.executable, "-m", "gateway.service.demo_sink", str(self._ports["sink"]), str(self.folder / "sink")],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            try:
                master = Master(load(self.config_path), self.config_path, self._web)
            except (PortTaken, AlreadyRuns) as problem:
                raise DemoProblem(str(problem), 3) from None
            self.pid_path.write_text(f"{os.getpid()}\n")

            def ready(pids: dict[str, int]) -> None:
                self._write_json({"master": os.getpid(), "slapd": slapd.pid, "sink": sink.pid, **pids})
                if self._is_new:
                    self._welcome()
                on_ready()
                sys.stdout.flush()

            return master.run(ready)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)  # once is enough: what follows must not be cut short
            embedded.stop(sink)
            embedded.stop(slapd)
            self.pid_path.unlink(missing_ok=True)

    def _read_directory(self) -> dict[str, Any]:
        """What the service knows of the company, read in a process of its own: the master opens no database."""
        ours, theirs = os.pipe()
        pid = os.fork()
        if pid == 0:
            _tell(theirs, lambda: demo_facts.facts(self.config_path, self.example()))
        os.close(theirs)
        with os.fdopen(ours, "rb") as file:
            told = file.read()
        if os.waitpid(pid, 0)[1] != 0:
            raise DemoProblem("the directory's entries cannot be read; the lines before say why", 70)
        found: dict[str, Any] = msgspec.json.decode(told)
        return found

    def _write_json(self, pids: dict[str, int]) -> None:
        ports = {name: port for name, port in self._ports.items() if name != "sink"}
        found = self._read_directory()
        facts = {
            "version": 1,
            "host": HOST,
            "ports": ports,
            "ca_file": str(self.folder / "tls" / "ca.pem"),
            "pid_file": str(self.pid_path),
            "pids": pids,
            "config_file": str(self.config_path),
            "control_socket": str(self.folder / "run" / "control.sock"),
            "state_dir": str(self.folder / "state"),
            "domains": found["domains"],
            "smarthost": {"sink_port": self._ports["sink"], "sink_dir": str(self.folder / "sink")},
            "directory": {
                "uri": self._directory.uri,
                "base": SUFFIX,
                "admin_dn": f"cn=webadmin,ou=services,{SUFFIX}",
                "admin_password": self._directory.password_file("webadmin").read_text().strip(),
            },
            "accounts": found["accounts"],
            "aliases": found["aliases"],
            "lists": found["lists"],
            "admins": ["admin"],
            **({"web": self._web_facts()} if self._web else {}),
        }
        temporary = self.json_path.with_suffix(".new")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")
        write_mbsyncrc(self.folder, self._ports, facts["accounts"][0])
        temporary.rename(self.json_path)

    def _welcome(self) -> None:
        """Some mail to look at, sent the way all mail comes."""
        with smtplib.SMTP(HOST, self._ports["mx"], timeout=30) as client:
            for recipient in WELCOMED:
                text = (
                    "From: Gatepost <postmaster@example.com>\r\n"
                    f"To: {recipient}\r\nSubject: Welcome to Gatepost\r\n"
                    f"Date: {formatdate()}\r\nMessage-ID: {make_msgid(domain='example.com')}\r\n"
                    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: 8bit\r\n\r\n"
                    "Your mail works. 您的邮箱已可使用。 Ihre Post läuft.\r\n"
                )
                client.sendmail("postmaster@example.com", [recipient], text.encode(), ["BODY=8BITMIME"])

    def json_text(self) -> str:
        """demo.json as it is."""
        return self.json_path.read_text(encoding="utf-8").rstrip()

    def table(self) -> str:
        """Ports, accounts, passwords and lines to try, for a person."""
        facts = msgspec.json.decode(self.json_path.read_bytes())
        ports, first = facts["ports"], facts["accounts"][0]
        table = Table(box=None, pad_edge=False)
        for title in ("login", "password", "addresses", "status"):
            table.add_column(title, overflow="fold")
        for account in facts["accounts"]:
            table.add_row(
                account["login"] or "(shared)", account["password"] or "-", " ".join(map(_readable, account["addresses"])),
                account["status"],
            )  # fmt: skip
        width = shutil.get_terminal_size((120, 40)).columns
        console = Console(width=max(80, width), no_color=not sys.stdout.isatty(), highlight=False)
        with console.capture() as captured:
            console.print(table)
        return "\n".join((
            "",
            "  ".join(f"{name} {port}" for name, port in ports.items()),
            *((f"web {facts['web']['url']}",) if "web" in facts else ()),
            f"configuration {self.config_path}   mail to outside lands in {facts['smarthost']['sink_dir']}",
            "",
            captured.get(),
            "Try:",
            *(f"  {line}" for line in lines(HOST, self.folder, ports, first)),
        ))  # fmt: skip
