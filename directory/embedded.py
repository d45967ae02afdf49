"""The private slapd: an unprivileged OpenLDAP server that Gatepost configures, starts and owns.

Layout of its folder: `slapd.d` (cn=config), `db` (data), `run` (socket, pid), `secrets` (generated
service passwords, 0600). `create` fills an empty folder, `start` runs slapd as a foreground child.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import secrets
import shutil
import signal
import socket
import string
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import argon2
import ldap3
from ldap3.core.exceptions import LDAPException

from directory import embedded_schema
from directory.data import data_folder

START_SECONDS = 15.0
STOP_SECONDS = 10.0
PR_SET_PDEATHSIG = 1
MAX_SOCKET_PATH = 107  # sun_path (unix(7))

APPARMOR_PROFILE = Path("/etc/apparmor.d/usr.sbin.slapd")

_MODULE_FOLDERS = ("/usr/lib/ldap", "/usr/lib64/openldap", "/usr/lib/openldap", "/usr/libexec/openldap")
_SCHEMA_FOLDERS = ("/etc/ldap/schema", "/etc/openldap/schema")


class SlapdMissing(Exception):
    """There is no slapd on this machine; the message says how to get it."""


class SlapdFailed(Exception):
    """slapd or slapadd did not do its work; the message holds what it printed."""


def find_slapd() -> str:
    """The path of slapd. Raises SlapdMissing."""
    path = shutil.which("slapd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/libexec:/usr/lib/openldap")
    if path is None:
        raise SlapdMissing("slapd is not installed; as root: apt-get install slapd")
    return path


def _first_folder(candidates: tuple[str, ...], what: str) -> str:
    for candidate in candidates:
        if Path(candidate).is_dir():
            return candidate
    raise SlapdMissing(f"slapd's {what} not found in {', '.join(candidates)}")


def _confined() -> str:
    """What to do where a profile of AppArmor (Ubuntu ships one) lets slapd see its own folders only."""
    if not APPARMOR_PROFILE.exists():
        return ""
    return (
        "; AppArmor may forbid slapd this folder: allow it in /etc/apparmor.d/local/usr.sbin.slapd (FOLDER/** rwk,) "
        "and run apparmor_parser -r /etc/apparmor.d/usr.sbin.slapd"
    )


#: what a guess costs (RFC 9106 4, OWASP's least), and what it need not cost where there is nothing to guess
_STRONG = argon2.PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def hash_password(password: str, *, is_public: bool = False) -> str:
    """`password` in the form slapd's argon2 module verifies; for a first load, which bypasses the server.

    With `is_public` in a form that costs no time: it is in a manual, or a test.
    """
    return "{ARGON2}" + (_QUICK if is_public else _STRONG).hash(password)


_CLEAR_PASSWORD = re.compile(r"^userPassword: (?!\{)(.+)$", re.MULTILINE)


def hash_passwords(ldif: str, *, are_public: bool = False) -> str:
    """`ldif` with every clear userPassword hashed: slapadd would store them as they are."""
    return _CLEAR_PASSWORD.sub(lambda m: "userPassword: " + hash_password(m[1], is_public=are_public), ldif)


@dataclass(frozen=True, slots=True)
class EmbeddedDirectory:
    """One private slapd below `folder`, listening on `host:port` and on an ldapi socket."""

    folder: Path
    suffix: str
    host: str
    port: int

    @property
    def uri(self) -> str:
        return f"ldap://{self.host}:{self.port}"

    @property
    def socket(self) -> Path:
        return self.folder / "run" / "ldapi"

    @property
    def socket_uri(self) -> str:
        return "ldapi://" + str(self.socket).replace("/", "%2F")

    def exists(self) -> bool:
        return (self.folder / "slapd.d" / "cn=config.ldif").is_file() and (self.folder / "db" / "data.mdb").is_file()

    def password_file(self, service: str) -> Path:
        """The 0600 file with the password of cn=`service`,ou=services."""
        return self.folder / "secrets" / service

    def create(
        self,
        organization: str,
        content: str,
        *,
        passwords: dict[str, str] | None = None,
        are_public: bool = False,
    ) -> None:
        """Make configuration and database with the base tree and `content` (LDIF, clear passwords are hashed).

        `are_public`: the passwords of `content` are known to everybody. Raises SlapdMissing, SlapdFailed.
        """
        find_slapd()
        if len(str(self.socket)) > MAX_SOCKET_PATH:
            raise SlapdFailed(f"the path of the folder is too long for a socket: {self.socket}")
        for name in ("slapd.d", "db", "run", "secrets"):
            folder = self.folder / name
            if name in ("slapd.d", "db") and folder.exists():
                shutil.rmtree(folder)  # what an interrupted creation left
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        values = {
            "dir": str(self.folder),
            "suffix": self.suffix,
            "organization": organization,
            "modules": _first_folder(_MODULE_FOLDERS, "modules"),
            "system_schema": _first_folder(_SCHEMA_FOLDERS, "schema files"),
            "schema": str(data_folder("schema")),
            "manage": " ".join(
                f"by dn.exact=gidNumber={gid}+uidNumber={uid},cn=peercred,cn=external,cn=auth manage"
                for uid, gid in dict.fromkeys(((0, 0), (os.getuid(), os.getgid())))
            ),
        }
        for service in ("gateway", "webadmin"):
            password = (passwords or {}).get(service) or secrets.token_urlsafe(24)
            self._write_secret(self.password_file(service), password)
            values[f"{service}_password"] = password
        config = string.Template((data_folder("ldif") / "slapd-config.ldif").read_text("utf-8")).substitute(values)
        base = string.Template((data_folder("ldif") / "base.ldif").read_text("utf-8")).substitute(values)
        self._slapadd("0", config)
        people = hash_passwords(content, are_public=are_public)
        self._slapadd("1", f"{hash_passwords(base)}\n{people}")

    @staticmethod
    def _write_secret(path: Path, text: str) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(text + "\n")

    def _slapadd(self, database: str, ldif: str) -> None:
        command = [find_slapd(), "-T", "add", "-n", database, "-F", str(self.folder / "slapd.d")]
        if database != "0":
            command.append("-q")
        done = subprocess.run(command, input=ldif, text=True, capture_output=True, timeout=600, check=False)
        if done.returncode != 0:
            raise SlapdFailed(f"slapadd of database {database}: {done.stderr.strip()[-2000:]}{_confined()}")

    def command(self) -> list[str]:
        """The command line of the foreground server."""
        return [
            find_slapd(),
            "-F",
            str(self.folder / "slapd.d"),
            "-h",
            f"{self.socket_uri} {self.uri}/",
            "-d",
            "0",
        ]

    def start(self) -> subprocess.Popen[bytes]:
        """Start slapd as a child that dies with this process; returns when it answers. Raises SlapdFailed.

        One that a killed process left behind is waited for first: two must not serve one database.
        """
        (self.folder / "run").mkdir(exist_ok=True, mode=0o700)
        self.wait_for_leftover()
        log = (self.folder / "run" / "slapd.log").open("ab")
        with log:
            child = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=_die_with_parent,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if child.poll() is not None:
                tail = (self.folder / "run" / "slapd.log").read_text(errors="replace")[-1000:]
                raise SlapdFailed(f"slapd ended with {child.returncode}: {tail}{_confined()}")
            if self.answers():
                try:
                    embedded_schema.update(self.socket)
                except embedded_schema.SchemaProblem as problem:
                    stop(child)
                    raise SlapdFailed(f"schema of the private directory: {problem}") from problem
                return child
            time.sleep(0.02)
        child.kill()
        child.wait()
        raise SlapdFailed(f"slapd did not answer on {self.uri} within {START_SECONDS:.0f} s")

    def wait_for_leftover(self) -> None:
        """Return when no earlier slapd of this folder runs. Raises SlapdFailed."""
        deadline = time.monotonic() + STOP_SECONDS
        while (pid := self._leftover()) is not None:
            if time.monotonic() > deadline:
                raise SlapdFailed(f"slapd {pid} still runs on {self.folder}")
            time.sleep(0.05)

    def _leftover(self) -> int | None:
        """The process that serves this folder; asked to end, if it is."""
        try:
            pid = int((self.folder / "run" / "slapd.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        if os.fsencode(self.folder / "slapd.d") not in command:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        return pid

    def answers(self) -> bool:
        """True when the server answers on its TCP port."""
        server = ldap3.Server(self.host, self.port, get_info=ldap3.NONE, connect_timeout=1)
        try:
            # ldap3 forgets to close a socket that could not connect
            socket.create_connection((self.host, self.port), 1).close()
            connection = ldap3.Connection(server, receive_timeout=2, raise_exceptions=False)
            connection.open()
            connection.unbind()
        except (LDAPException, OSError):
            return False
        return True


def _die_with_parent() -> None:
    """In the child: SIGTERM when the process that started it ends, however it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a started slapd and wait for it."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
